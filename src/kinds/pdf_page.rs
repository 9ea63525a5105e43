//! The text of a page of a PDF, and what is missing of it.

use pdf_extract::{
    ConvertToFmt, Document, MediaBox, ObjectId, OutputDev, OutputError, PlainTextOutput, Transform,
    content::Content, output_doc_page,
};
use std::{
    fmt::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Maximum size of the text of a page, in bytes.
const MAX_PAGE: usize = 16 * 1024 * 1024;

/// What was read of a page.
pub struct PageText {
    pub text: String,
    /// How many characters its fonts do not name.
    pub unknown: u64,
    /// Whether reading it came to its end.
    pub is_whole: bool,
}

// === impl PageText ===

impl PageText {
    /// Reads the page of this number.
    pub fn of(document: &Document, page: u32) -> Self {
        let mut text = Letters::default();
        let mut unknown = 0;
        let written = catch_unwind(AssertUnwindSafe(|| {
            let mut output = Known {
                text: PlainTextOutput::new(&mut text),
                unknown: &mut unknown,
            };
            output_doc_page(document, &mut output, page)
        }));
        PageText {
            text: text.text,
            unknown,
            is_whole: matches!(written, Ok(Ok(()))),
        }
    }
}

/// Whether all that a page draws is understood: the crate ignores what follows an error.
pub fn is_understood(document: &Document, page: ObjectId) -> bool {
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        let content = document.get_page_content(page)?;
        Content::decode_strict(&content)
    }));
    matches!(decoded, Ok(Ok(_)))
}

/// Counts the characters that are not known, and hands on the others.
struct Known<'a> {
    text: PlainTextOutput<&'a mut Letters>,
    unknown: &'a mut u64,
}

impl OutputDev for Known<'_> {
    fn begin_page(
        &mut self,
        page: u32,
        media: &MediaBox,
        art: Option<(f64, f64, f64, f64)>,
    ) -> Result<(), OutputError> {
        self.text.begin_page(page, media, art)
    }

    fn end_page(&mut self) -> Result<(), OutputError> {
        self.text.end_page()
    }

    fn output_character(
        &mut self,
        at: &Transform,
        width: f64,
        spacing: f64,
        size: f64,
        character: &str,
    ) -> Result<(), OutputError> {
        *self.unknown += u64::from(matches!(character, "" | "\0"));
        self.text
            .output_character(at, width, spacing, size, character)
    }

    fn begin_word(&mut self) -> Result<(), OutputError> {
        self.text.begin_word()
    }

    fn end_word(&mut self) -> Result<(), OutputError> {
        self.text.end_word()
    }

    fn end_line(&mut self) -> Result<(), OutputError> {
        self.text.end_line()
    }
}

/// Text with ligatures as letters.
#[derive(Default)]
struct Letters {
    text: String,
}

impl Write for Letters {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.text.len() > MAX_PAGE {
            return Err(fmt::Error);
        }
        for character in piece.chars() {
            match character {
                '\u{fb00}' => self.text.push_str("ff"),
                '\u{fb01}' => self.text.push_str("fi"),
                '\u{fb02}' => self.text.push_str("fl"),
                '\u{fb03}' => self.text.push_str("ffi"),
                '\u{fb04}' => self.text.push_str("ffl"),
                '\u{ad}' => self.text.push('-'),
                it if it.is_control() && it != '\n' && it != '\t' => {}
                it => self.text.push(it),
            }
        }
        Ok(())
    }
}

impl ConvertToFmt for &mut Letters {
    type Writer = Self;

    fn convert(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pdf_extract::{Dictionary, Object, Stream};

    /// A PDF of one page with this content, and what is in a font.
    fn document(content: &str, font: Dictionary) -> (Document, ObjectId) {
        let mut document = Document::with_version("1.5");
        let pages = document.new_object_id();
        let contents = Stream::new(Dictionary::new(), content.as_bytes().to_vec());
        let contents = document.add_object(contents);
        let descendants = document.add_object(font);
        let fonts = of(&[("F", descendants.into())]);
        let resources = of(&[("Font", fonts.into())]);
        let size = [0, 0, 600, 800].map(Object::Integer).to_vec();
        let page = document.add_object(of(&[
            ("Type", name("Page")),
            ("Parent", pages.into()),
            ("MediaBox", size.into()),
            ("Contents", contents.into()),
            ("Resources", resources.into()),
        ]));
        let kids = of(&[
            ("Type", name("Pages")),
            ("Kids", vec![Object::Reference(page)].into()),
            ("Count", Object::Integer(1)),
        ]);
        document.objects.insert(pages, kids.into());
        let catalog = of(&[("Type", name("Catalog")), ("Pages", pages.into())]);
        let catalog = document.add_object(catalog);
        document.trailer.set("Root", catalog);
        (document, page)
    }

    fn of(entries: &[(&str, Object)]) -> Dictionary {
        let entries = entries.iter().cloned();
        Dictionary::from_iter(entries.map(|(key, value)| (key.to_owned(), value)))
    }

    fn name(name: &str) -> Object {
        Object::Name(name.as_bytes().to_vec())
    }

    fn helvetica() -> Dictionary {
        of(&[
            ("Type", name("Font")),
            ("Subtype", name("Type1")),
            ("BaseFont", name("Helvetica")),
        ])
    }

    #[test]
    fn what_is_not_understood_of_a_page_is_known() {
        for (between, expected) in [("0 0 1 rg", true), ("% a comment\n ", false), ("}", false)] {
            let content = format!(
                "BT /F 12 Tf 50 700 Td (One) Tj ET\n{between}\nBT /F 12 Tf 50 600 Td (Two) Tj ET"
            );
            let (document, id) = document(&content, helvetica());
            let page = PageText::of(&document, 1);
            assert!(page.text.contains("One") && page.is_whole, "{between}");
            assert_eq!(page.text.contains("Two"), expected, "{between}");
            assert_eq!(is_understood(&document, id), expected, "{between}");
        }
    }

    #[test]
    fn characters_that_a_font_does_not_name_are_counted() {
        let system = of(&[
            ("Registry", Object::string_literal("Adobe")),
            ("Ordering", Object::string_literal("Identity")),
            ("Supplement", Object::Integer(0)),
        ]);
        let descendant = of(&[
            ("Type", name("Font")),
            ("Subtype", name("CIDFontType2")),
            ("BaseFont", name("Other")),
            ("CIDSystemInfo", system.into()),
            (
                "FontDescriptor",
                of(&[("Type", name("FontDescriptor"))]).into(),
            ),
        ]);
        let font = of(&[
            ("Type", name("Font")),
            ("Subtype", name("Type0")),
            ("BaseFont", name("Other")),
            ("Encoding", name("Identity-H")),
            (
                "DescendantFonts",
                vec![Object::Dictionary(descendant)].into(),
            ),
        ]);
        let (document, id) = document("BT /F 12 Tf 50 700 Td <000100020003> Tj ET", font);
        let page = PageText::of(&document, 1);
        assert!(page.is_whole && is_understood(&document, id));
        assert_eq!((page.text.trim(), page.unknown), ("", 3));
    }
}

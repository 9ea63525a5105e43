//! Decodes text of any encoding to UTF-8, as it is read.

use super::{
    bounds::UnreadableDocument,
    encoding::{TextEncoding, incomplete, is_control, is_plain_ascii},
};
use encoding_rs::{Decoder, Encoding, UTF_8, WINDOWS_1252};
use std::io::{self, Read};

/// How much is decoded at once, in bytes.
const BLOCK: usize = 256 * 1024;

/// In a text, at most one byte in this many is a control character.
const BYTES_PER_CONTROL: usize = 20;

/// A text of at most this many bytes is too short to judge.
const TOO_SHORT: usize = 16;

/// A reader that decodes.
pub struct Decoded<R> {
    input: R,
    mode: Mode,
    /// What the document says of its encoding.
    declared: Option<&'static Encoding>,
    raw: Vec<u8>,
    text: String,
    position: usize,
    is_started: bool,
    is_ended: bool,
    decoded: u64,
    /// Bytes that are not of the encoding.
    stray: u64,
    controls: u64,
}

/// How bytes become text.
enum Mode {
    /// All of it was ASCII so far.
    Ascii,
    Utf8,
    Utf32 {
        is_little_endian: bool,
    },
    Other(Box<Decoder>),
}

// === impl Decoded ===

impl<R: Read> Decoded<R> {
    /// Decodes `input`. `declared` is what it says of its encoding, unless its bytes say
    /// something else.
    pub fn new(input: R, declared: Option<&'static Encoding>) -> Self {
        Decoded {
            input,
            mode: Mode::Ascii,
            declared: declared.map(|it| if it.is_ascii_compatible() { it } else { UTF_8 }),
            raw: Vec::new(),
            text: String::new(),
            position: 0,
            is_started: false,
            is_ended: false,
            decoded: 0,
            stray: 0,
            controls: 0,
        }
    }

    /// The name of the encoding, once all is read.
    pub fn encoding(&self) -> &'static str {
        let is_little_endian = match &self.mode {
            Mode::Ascii | Mode::Utf8 => return TextEncoding::Utf8.name(),
            Mode::Other(decoder) => return decoder.encoding().name(),
            Mode::Utf32 { is_little_endian } => *is_little_endian,
        };
        TextEncoding::Utf32 { is_little_endian }.name()
    }

    /// What may be wrong, once all is read.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        match (&self.mode, self.stray) {
            (_, 0) => {}
            (Mode::Utf8, stray) => notes.push(format!(
                "{stray} bytes that are not UTF-8 were read as {}",
                WINDOWS_1252.name()
            )),
            (_, stray) => notes.push(format!(
                "{stray} characters that are not {} were replaced",
                self.encoding()
            )),
        }
        if self.controls > 0 {
            notes.push(format!(
                "{} control characters were left out",
                self.controls
            ));
        }
        notes
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// When it cannot be read, or is not text.
    pub fn read_text(&mut self) -> io::Result<String> {
        let mut text = String::new();
        while self.fill()? {
            text.push_str(&self.text);
        }
        Ok(text)
    }

    /// Decodes the next block into `text`; `false` at the end.
    fn fill(&mut self) -> io::Result<bool> {
        self.text.clear();
        self.position = 0;
        while self.text.is_empty() {
            if self.is_ended {
                return Ok(false);
            }
            self.read_block()?;
            if !self.is_started {
                self.is_started = true;
                self.start();
            }
            if matches!(self.mode, Mode::Ascii) && !is_plain_ascii(&self.raw) {
                // Context for the detector.
                self.read_block()?;
                let encoding = TextEncoding::of(&self.raw, self.declared, self.is_ended);
                self.mode = Mode::of(encoding);
            }
            self.decode();
            self.drop_controls()?;
        }
        Ok(true)
    }

    /// Adds a block to the raw bytes.
    fn read_block(&mut self) -> io::Result<()> {
        let mut block = self.input.by_ref().take(BLOCK as u64);
        if block.read_to_end(&mut self.raw)? < BLOCK {
            self.is_ended = true;
        }
        Ok(())
    }

    /// Sees to a byte order mark, and to encodings whose units are wide.
    fn start(&mut self) {
        if let Some((encoding, mark)) = TextEncoding::marked_or_wide(&self.raw) {
            self.raw.drain(..mark);
            self.mode = Mode::of(encoding);
        }
    }

    /// Decodes the raw bytes, and keeps an incomplete character of their end.
    fn decode(&mut self) {
        let before = self.text.len();
        let mut rest = 0;
        match &mut self.mode {
            Mode::Ascii => self.text.push_str(&String::from_utf8_lossy(&self.raw)),
            Mode::Utf8 => {
                rest = if self.is_ended {
                    0
                } else {
                    incomplete(&self.raw)
                };
                let complete = &self.raw[..self.raw.len() - rest];
                for chunk in complete.utf8_chunks() {
                    self.text.push_str(chunk.valid());
                    self.stray += chunk.invalid().len() as u64;
                    self.text
                        .push_str(&WINDOWS_1252.decode_without_bom_handling(chunk.invalid()).0);
                }
            }
            Mode::Utf32 { is_little_endian } => {
                rest = self.raw.len() % 4;
                for unit in self.raw.chunks_exact(4) {
                    let unit: [u8; 4] = unit.try_into().expect("it has 4 bytes");
                    let code = if *is_little_endian {
                        u32::from_le_bytes(unit)
                    } else {
                        u32::from_be_bytes(unit)
                    };
                    let character = char::from_u32(code);
                    self.stray += u64::from(character.is_none());
                    self.text
                        .push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
                }
            }
            Mode::Other(decoder) => {
                let mut from = 0;
                loop {
                    let length = decoder.max_utf8_buffer_length(self.raw.len() - from);
                    self.text.reserve(length.unwrap_or(4 * self.raw.len()));
                    let raw = &self.raw[from..];
                    let (result, read, _) =
                        decoder.decode_to_string(raw, &mut self.text, self.is_ended);
                    from += read;
                    if result == encoding_rs::CoderResult::InputEmpty {
                        break;
                    }
                }
                let new = &self.text[before..];
                self.stray +=
                    memchr::memmem::find_iter(new.as_bytes(), "\u{fffd}".as_bytes()).count() as u64;
            }
        }
        self.decoded += (self.text.len() - before) as u64;
        self.raw.drain(..self.raw.len() - rest);
        if self.is_ended {
            self.raw.clear();
        }
    }

    /// Drops control characters, which no text has many of.
    fn drop_controls(&mut self) -> io::Result<()> {
        let controls = self.text.bytes().filter(|it| is_control(*it)).count();
        if controls > 0 {
            self.controls += controls as u64;
            self.text
                .retain(|it| !it.is_ascii() || !is_control(it as u8));
        }
        let length = usize::try_from(self.decoded).unwrap_or(usize::MAX);
        let strange = (self.controls + self.replaced()) as usize;
        let block = self.text.len() + controls;
        let is_binary = controls * BYTES_PER_CONTROL > block
            || strange.saturating_mul(BYTES_PER_CONTROL) > length;
        if is_binary && length > TOO_SHORT {
            return Err(UnreadableDocument::new("it is binary", "").into());
        }
        Ok(())
    }

    /// How many characters are not known.
    fn replaced(&self) -> u64 {
        match self.mode {
            Mode::Ascii | Mode::Utf8 => 0,
            _ => self.stray,
        }
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position == self.text.len() && !self.fill()? {
            return Ok(0);
        }
        let left = &self.text.as_bytes()[self.position..];
        let length = left.len().min(buffer.len());
        buffer[..length].copy_from_slice(&left[..length]);
        self.position += length;
        Ok(length)
    }
}

// === impl Mode ===

impl Mode {
    fn of(encoding: TextEncoding) -> Self {
        match encoding {
            TextEncoding::Utf8 => Mode::Utf8,
            TextEncoding::Utf32 { is_little_endian } => Mode::Utf32 { is_little_endian },
            TextEncoding::Other(encoding) => {
                Mode::Other(Box::new(encoding.new_decoder_without_bom_handling()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The text, the encoding and the notes.
    fn decoded(bytes: &[u8]) -> (String, &'static str, Vec<String>) {
        let mut decoded = Decoded::new(bytes, None);
        let text = decoded.read_text().unwrap();
        (text, decoded.encoding(), decoded.notes())
    }

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn encodings_are_detected() {
        let russian = "Съешь же ещё этих мягких французских булок, да выпей чаю.";
        let japanese = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。";
        let french = "Voix ambiguë d’un cœur qui, au zéphyr, préfère les jattes de kiwis.";
        for (text, name) in [
            (russian, "windows-1251"),
            (russian, "KOI8-U"),
            (japanese, "Shift_JIS"),
            (japanese, "EUC-JP"),
            (japanese, "ISO-2022-JP"),
            (french, "windows-1252"),
        ] {
            let encoding = Encoding::for_label(name.as_bytes()).unwrap();
            let (bytes, ..) = encoding.encode(text);
            assert_eq!(decoded(&bytes), (text.to_owned(), name, vec![]));
        }
        assert_eq!(
            decoded(russian.as_bytes()),
            (russian.to_owned(), "UTF-8", vec![])
        );
    }

    #[test]
    fn wide_encodings_are_read_with_and_without_a_mark() {
        let text = "Hello, world: größer";
        let bare = utf16(text);
        let marked = [b"\xff\xfe".to_vec(), bare.clone()].concat();
        assert_eq!(decoded(&bare), (text.to_owned(), "UTF-16LE", vec![]));
        assert_eq!(decoded(&marked), (text.to_owned(), "UTF-16LE", vec![]));
        let mut wide = b"\0\0\xfe\xff".to_vec();
        wide.extend(text.chars().flat_map(|it| (it as u32).to_be_bytes()));
        assert_eq!(decoded(&wide), (text.to_owned(), "UTF-32BE", vec![]));
    }

    #[test]
    fn what_is_declared_counts_unless_it_is_surely_utf8() {
        let gbk = Encoding::for_label(b"gb2312");
        let text = "代开各地增值税发票";
        let (bytes, ..) = encoding_rs::GBK.encode(text);
        for bytes in [&bytes[..], text.as_bytes()] {
            assert_eq!(Decoded::new(bytes, gbk).read_text().unwrap(), text);
        }
        let short = Decoded::new("é".as_bytes(), Some(WINDOWS_1252)).read_text();
        assert_eq!(short.unwrap(), "Ã©");
    }

    #[test]
    fn lone_surrogates_are_replaced() {
        let bytes = [
            utf16("This is a text with one"),
            vec![0, 0xd8],
            utf16(" of them"),
        ]
        .concat();
        let (text, _, notes) = decoded(&bytes);
        assert_eq!(text, "This is a text with one\u{fffd} of them");
        assert_eq!(notes, ["1 characters that are not UTF-16LE were replaced"]);
    }

    #[test]
    fn a_stray_name_in_utf8_is_read() {
        let mut bytes = "Änderungen für alle, größer und schöner. "
            .repeat(10)
            .into_bytes();
        bytes.extend(b"Andr\xe9");
        let (text, encoding, notes) = decoded(&bytes);
        assert!(text.ends_with("André"));
        assert_eq!(encoding, "UTF-8");
        assert_eq!(
            notes,
            ["1 bytes that are not UTF-8 were read as windows-1252"]
        );
    }

    #[test]
    fn what_is_binary_is_refused() {
        let bytes: Vec<u8> = (0..4000u32).map(|it| ((it * 7919) >> 3) as u8).collect();
        let error = Decoded::new(&bytes[..], None).read_text().unwrap_err();
        assert_eq!(error.to_string(), "failed to read it: it is binary");
    }

    proptest! {
        #[test]
        fn utf8_is_itself_in_any_blocks(text in "[^\\p{Cc}\u{feff}]{20,60}") {
            let long = text.repeat(1 + BLOCK / text.len());
            let (read, encoding, notes) = decoded(long.as_bytes());
            prop_assert!(read == long);
            prop_assert_eq!(encoding, "UTF-8");
            prop_assert!(notes.is_empty());
        }

        #[test]
        fn nothing_panics(bytes: Vec<u8>) {
            let _ = Decoded::new(&bytes[..], None).read_text();
        }
    }
}

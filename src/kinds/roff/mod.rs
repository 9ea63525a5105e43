//! Manual pages: the requests of roff that they use, and the macros `man` and `mdoc`.
//!
//! Written here, since no crate reads them. It is not a typesetter: what a page says counts, not
//! where. Other files (`.so`) are never read, and macros of the page are expanded within
//! bounds.

mod arguments;
mod condition;
mod escapes;
mod glyphs;
mod man;
mod mdoc;
mod mdoc_line;
mod page;
mod table;

use super::{
    bounds::UnreadableDocument,
    declared::{self, DECLARATION},
    decoded::Decoded,
    layout::Layout,
    reading::Reading,
};
use page::Page;
use std::io::{BufRead, BufReader, Cursor, Read};

/// Maximum length of a line, in bytes.
const MAX_LINE: u64 = 1024 * 1024;

/// Reads a manual page.
///
/// # Errors
/// When it cannot be read, is not text, or exceeds a bound.
pub fn read(input: &mut dyn Read, layout: &mut Layout) -> Result<Reading, UnreadableDocument> {
    let mut head = Vec::new();
    input.take(DECLARATION).read_to_end(&mut head)?;
    let declared = declared::of_text(&head);
    let mut decoded = Decoded::new(Cursor::new(head).chain(input), declared);
    let mut lines = BufReader::new(&mut decoded);
    let mut page = Page::new(layout);
    loop {
        let mut line = Vec::new();
        let mut limited = lines.by_ref().take(MAX_LINE);
        if limited.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let line = String::from_utf8_lossy(&line);
        page.add(line.trim_end_matches(['\n', '\r']))?;
    }
    let notes = page.end()?;
    Ok(Reading {
        encoding: Some(decoded.encoding().to_owned()),
        notes: [decoded.notes(), notes].concat(),
        ..Reading::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::bounds::TextSink;
    use proptest::prelude::*;

    fn read_page(page: &str) -> Result<(String, Reading), UnreadableDocument> {
        let mut text = Vec::new();
        let mut sink = TextSink::new(&mut text);
        let reading = read(&mut page.as_bytes(), &mut Layout::new(&mut sink))?;
        Ok((String::from_utf8(text).unwrap(), reading))
    }

    fn text_of(page: &str) -> String {
        read_page(page).unwrap().0
    }

    #[test]
    fn a_page_of_man_is_read() {
        let text = text_of(concat!(
            ".\\\" A comment\n.TH LS 1 \"May 2020\"\n.SH NAME\nls \\- list\ndirectory contents\n",
            ".SH SYNOPSIS\n.B ls\n[\\fIOPTION\\fR]... [\\fIFILE\\fR]...\n.SH \"EXIT STATUS\"\n",
            ".TP\n.BR \\-a \", \" \\-\\-all\ndo not \\(lqignore\\(rq entries\n.IP \\(bu 2\nA point\n",
            ".PP\nSee\n.BR dir (1),\nand more.\n.nf\n  a  b\n\n  c\n.fi\nEnd.\n",
        ));
        assert_eq!(
            text,
            "LS(1)\n\n# NAME\n\nls - list directory contents\n\n# SYNOPSIS\n\nls [OPTION]... \
             [FILE]...\n\n# EXIT STATUS\n\n-a, --all\ndo not “ignore” entries\n\n• A point\n\n\
             See dir(1), and more.\n  a  b\n\n  c\nEnd.\n"
        );
    }

    #[test]
    fn a_page_of_mdoc_is_read() {
        let text = text_of(concat!(
            ".Dd May 1, 2020\n.Dt CAT 1\n.Os\n.Sh NAME\n.Nm cat\n.Nd concatenate files\n",
            ".Sh SYNOPSIS\n.Nm\n.Op Fl belnstuv\n.Op Ar\n.Sh DESCRIPTION\nThe\n.Nm\nutility, see\n",
            ".Xr head 1 ,\nwrites.\n.Bl -tag -width indent\n.It Fl b\nNumber\n.Pq Sq x .\n",
            ".It Fl e Ns Ar n\nDisplay.\n.El\n.Bl -bullet\n.It\nOne\n.El\n.Ex -std\n",
        ));
        assert_eq!(
            text,
            "CAT(1)\n\n# NAME\n\ncat – concatenate files\n\n# SYNOPSIS\n\ncat [-belnstuv] \
             [file ...]\n\n# DESCRIPTION\n\nThe cat utility, see head(1), writes.\n\n-b\nNumber \
             (‘x’).\n\n-en\nDisplay.\n\n- One\n\nThe cat utility exits 0 on success, and >0 if an \
             error occurs.\n"
        );
    }

    #[test]
    fn conditions_macros_and_tables_are_read() {
        let text = text_of(concat!(
            ".TH A 1\n.ds xx yes\n.if n .B here \\*(xx\n.if t no\n.ie n \\{\\\n.  B one\n.\\}\n",
            ".el \\{\\\nnever\n.\\}\n.de Mx\n.B \"\\\\$1\" and \\\\$2\n..\n.Mx \"a b\" c\n",
            ".TS\ntab(|);\nl l.\nName|Use\n_\nx|T{\na long\ncell\nT}\n.TE\nEnd\n.so man1/other.1\n",
        ));
        assert_eq!(
            text,
            "A(1)\n\nhere yes one a b and c\nName | Use\nx | a long cell\nEnd\n"
        );
    }

    #[test]
    fn macros_without_end_are_refused() {
        let once = ".TH A 1\n.de A\n.A\n..\n.A\n";
        let error = read_page(once).unwrap_err().to_string();
        assert!(error.contains("call each other without end"), "{error}");
        let wide = format!(
            ".TH A 1\n.de A\n{}..\n.de B\n{}..\n.de C\n{}..\n.C\n",
            "x\n".repeat(1000),
            ".A\n".repeat(1000),
            ".B\n".repeat(1000)
        );
        assert!(read_page(&wide).is_err());
        let strings = format!(
            ".TH A 1\n.ds a \\*a\\*a\\*a\n.ds b {}\nx \\*a \\*b y\n",
            "\\*a".repeat(99)
        );
        assert!(text_of(&strings).contains('x'));
    }

    proptest! {
        #[test]
        fn nothing_panics(lines in proptest::collection::vec(
            "[.']?(TH|SH|TP|de|if n|ie|el|ds|TS|TE|It|Bl|El|Op|Fl|Nm|Dd|Fn|Xr)?[ -~\\\\\"{}é]{0,20}", 0..40
        )) {
            let _ = read_page(&lines.join("\n"));
        }
    }
}

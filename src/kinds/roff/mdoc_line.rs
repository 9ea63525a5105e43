//! The macros `mdoc` in a line: most can be called by others.

use super::escapes::Strings;
use crate::kinds::layout::Layout;
use std::{io, mem};

/// What is put around the rest of a line, and around what is between two macros.
const ENCLOSURES: [(&str, &str, &str, &str, &str); 9] = [
    ("Op", "Oo", "Oc", "[", "]"),
    ("Dq", "Do", "Dc", "“", "”"),
    ("Sq", "So", "Sc", "‘", "’"),
    ("Qq", "Qo", "Qc", "\"", "\""),
    ("Pq", "Po", "Pc", "(", ")"),
    ("Bq", "Bo", "Bc", "[", "]"),
    ("Brq", "Bro", "Brc", "{", "}"),
    ("Aq", "Ao", "Ac", "⟨", "⟩"),
    ("Ql", "", "", "‘", "’"),
];

/// Systems, by their macros.
const SYSTEMS: [(&str, &str); 8] = [
    ("Ux", "UNIX"),
    ("Bx", "BSD"),
    ("Fx", "FreeBSD"),
    ("Nx", "NetBSD"),
    ("Ox", "OpenBSD"),
    ("Dx", "DragonFly"),
    ("Bsx", "BSD/OS"),
    ("At", "AT&T UNIX"),
];

/// Macros whose arguments are shown as they are.
const PLAIN: [&str; 34] = [
    "Ad", "An", "Cd", "Cm", "Dv", "Em", "Er", "Ev", "Ic", "Li", "Lk", "Ms", "Mt", "No", "Sx", "Sy",
    "Tn", "Va", "Vt", "Fa", "Ft", "Fd", "Bf", "Ef", "Xo", "Xc", "Eo", "Ec", "Es", "En", "Nd", "Lb",
    "St", "Pa",
];

/// Macros that the next one of is not an argument.
const OTHERS: [&str; 14] = [
    "Nm", "Fl", "Ar", "Ns", "Pf", "Ap", "Xr", "Fn", "Fo", "Fc", "In", "Ta", "Ex", "Rv",
];

/// The state between lines.
#[derive(Debug, Default)]
pub struct MdocLine {
    /// What `Nm` stands for.
    name: String,
    /// Whether the arguments of a function are listed, and whether there are any yet.
    arguments: Option<bool>,
}

/// The words of a line, as they are shown.
struct Words<'a, 'b, 'c> {
    layout: &'a mut Layout<'b, 'c>,
    is_joined: bool,
}

// === impl MdocLine ===

impl MdocLine {
    /// Adds the words of a line, of which the first may be a macro.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(
        &mut self,
        line: &[String],
        strings: &Strings,
        layout: &mut Layout,
    ) -> io::Result<()> {
        let mut words = Words {
            layout,
            is_joined: false,
        };
        words.layout.space();
        let mut closing = Vec::new();
        let mut rest = line;
        // Punctuation at the end of a line is outside of what encloses the rest of it.
        let last = line.iter().rev().take_while(|it| is_closing(it)).count();
        let mut end = line.len() - last;
        if end == 0 {
            end = line.len();
        }
        let mut mode = "";
        while let Some((word, after)) = rest.split_first() {
            if line.len() - rest.len() == end {
                close(&mut closing, &mut words)?;
            }
            rest = after;
            if is_macro(word) {
                mode = word;
                let before = rest.len();
                self.begin(word, &mut rest, strings, &mut closing, &mut words)?;
                // Arguments that were taken may be the punctuation of the end.
                if line.len() - rest.len() > end && before != rest.len() {
                    close(&mut closing, &mut words)?;
                }
                continue;
            }
            let shown = strings.expanded(word);
            match mode {
                _ if is_closing(word) || is_opening(word) => words.add(&shown)?,
                "Fl" => words.add(&format!("-{shown}"))?,
                "Fa" if self.arguments.is_some() => {
                    let comma = if self.arguments.replace(true) == Some(true) {
                        ", "
                    } else {
                        ""
                    };
                    words.add_joined(&format!("{comma}{shown}"))?;
                }
                _ => words.add(&shown)?,
            }
        }
        close(&mut closing, &mut words)
    }

    /// Begins a macro.
    fn begin(
        &mut self,
        name: &str,
        rest: &mut &[String],
        strings: &Strings,
        closing: &mut Vec<&'static str>,
        words: &mut Words,
    ) -> io::Result<()> {
        for (line, begin, end, open, close) in ENCLOSURES {
            if name == line {
                closing.push(close);
                return words.open(open);
            }
            if name == begin {
                return words.open(open);
            }
            if name == end {
                return words.add_joined(close);
            }
        }
        if let Some((_, system)) = SYSTEMS.iter().find(|(it, _)| *it == name) {
            let version = take(rest).map(|it| strings.expanded(&it));
            return words.add(&match version {
                Some(version) if name == "Bx" => format!("{version}BSD"),
                Some(version) => format!("{system} {version}"),
                None => (*system).to_owned(),
            });
        }
        match name {
            "Nm" => match take(rest) {
                Some(given) => {
                    let given = strings.expanded(&given);
                    words.add(&given)?;
                    if self.name.is_empty() {
                        self.name = given;
                    }
                    Ok(())
                }
                None => words.add(&self.name),
            },
            "Nd" => words.add("–"),
            "Fl" if rest.first().is_none_or(|it| is_macro(it) || is_closing(it)) => {
                words.add("-")?;
                // What a macro adds is of the same flag.
                words.is_joined = rest
                    .first()
                    .is_some_and(|it| is_macro(it) && it != "Ns" && it != "Ar");
                Ok(())
            }
            "Ar" if rest.first().is_none_or(|it| is_macro(it) || is_closing(it)) => {
                words.add("file ...")
            }
            "Pa" if rest.is_empty() => words.add("~"),
            "Ns" => {
                words.is_joined = true;
                Ok(())
            }
            "Pf" => {
                if let Some(prefix) = take_any(rest) {
                    words.add(&strings.expanded(&prefix))?;
                    words.is_joined = true;
                }
                Ok(())
            }
            "Ap" => {
                words.add_joined("'")?;
                words.is_joined = true;
                Ok(())
            }
            "Xr" => {
                let page = take(rest).unwrap_or_default();
                let section = take(rest).map_or(String::new(), |it| format!("({it})"));
                words.add(&strings.expanded(&format!("{page}{section}")))
            }
            "Fn" => {
                let function = take(rest).unwrap_or_default();
                let mut given = Vec::new();
                while let Some(argument) = take(rest) {
                    given.push(argument);
                }
                words.add(&strings.expanded(&format!("{function}({})", given.join(", "))))
            }
            "Fo" => {
                let function = take(rest).unwrap_or_default();
                self.arguments = Some(false);
                words.open(&strings.expanded(&format!("{function}(")))
            }
            "Fc" => {
                self.arguments = None;
                words.add_joined(")")
            }
            "In" => {
                let file = take(rest).unwrap_or_default();
                words.add(&strings.expanded(&format!("#include <{file}>")))
            }
            "Ta" => words.add("|"),
            "Ex" | "Rv" => {
                // The option -std.
                let option = take(rest);
                let given = option.filter(|it| it != "-std").or_else(|| take(rest));
                let subject = given.map_or_else(|| self.name.clone(), |it| strings.expanded(&it));
                words.add(&if name == "Ex" {
                    format!("The {subject} utility exits 0 on success, and >0 if an error occurs.")
                } else {
                    format!(
                        "The {subject}() function returns the value 0 if successful; otherwise the \
                         value -1 is returned and the global variable errno is set to indicate the \
                         error."
                    )
                })
            }
            "St" => {
                let standard = take(rest).unwrap_or_default();
                let name = standard
                    .trim_start_matches('-')
                    .replace("p1003", "IEEE Std 1003");
                words.add(&name)
            }
            "An" if rest
                .first()
                .is_some_and(|it| it == "-split" || it == "-nosplit") =>
            {
                *rest = &rest[1..];
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Takes an argument, unless a macro or punctuation follows.
fn take(rest: &mut &[String]) -> Option<String> {
    let next = rest.first()?;
    if is_macro(next) || is_closing(next) {
        return None;
    }
    take_any(rest)
}

fn take_any(rest: &mut &[String]) -> Option<String> {
    let (next, after) = rest.split_first()?;
    *rest = after;
    Some(next.clone())
}

fn close(closing: &mut Vec<&'static str>, words: &mut Words) -> io::Result<()> {
    while let Some(mark) = closing.pop() {
        words.add_joined(mark)?;
    }
    Ok(())
}

fn is_macro(word: &str) -> bool {
    PLAIN.contains(&word)
        || OTHERS.contains(&word)
        || SYSTEMS.iter().any(|(it, _)| *it == word)
        || ENCLOSURES
            .iter()
            .any(|it| word == it.0 || (!word.is_empty() && (word == it.1 || word == it.2)))
}

fn is_closing(word: &str) -> bool {
    matches!(word, "." | "," | ":" | ";" | ")" | "]" | "?" | "!")
}

fn is_opening(word: &str) -> bool {
    matches!(word, "(" | "[")
}

// === impl Words ===

impl Words<'_, '_, '_> {
    /// Adds a word, after a space unless it is punctuation.
    fn add(&mut self, word: &str) -> io::Result<()> {
        if is_closing(word) {
            return self.add_joined(word);
        }
        if is_opening(word) {
            return self.open(word);
        }
        if mem::take(&mut self.is_joined) {
            self.layout.join();
        } else {
            self.layout.space();
        }
        self.layout.text(word)
    }

    /// Adds what the next word joins.
    fn open(&mut self, mark: &str) -> io::Result<()> {
        if !mem::take(&mut self.is_joined) {
            self.layout.space();
        }
        self.layout.text(mark)?;
        self.is_joined = true;
        Ok(())
    }

    /// Adds what joins the last word.
    fn add_joined(&mut self, mark: &str) -> io::Result<()> {
        self.layout.join();
        self.layout.text(mark)?;
        self.is_joined = false;
        Ok(())
    }
}

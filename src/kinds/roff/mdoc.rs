//! The macros `mdoc` that make lines and blocks. Those in a line are in `mdoc_line`.

use super::{arguments::arguments, escapes::Strings, mdoc_line::MdocLine};
use crate::kinds::layout::Layout;
use std::io;

/// Maximum depth of indentation of lists.
const DEEPEST_LIST: usize = 32;

/// The state of a page in these macros.
#[derive(Debug, Default)]
pub struct MdocPage {
    line: MdocLine,
    lists: Vec<List>,
    /// Whether the parts of a reference are listed.
    is_in_reference: bool,
    is_in_synopsis: bool,
}

#[derive(Debug, Clone, Copy)]
enum List {
    Marked,
    Numbered(u32),
    Columns,
    Tagged,
}

impl MdocPage {
    /// Adds a macro with its arguments.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(
        &mut self,
        name: &str,
        rest: &str,
        strings: &Strings,
        layout: &mut Layout,
        is_unfilled: &mut bool,
    ) -> io::Result<()> {
        let given = arguments(rest);
        match name {
            "Dt" => {
                let shown: Vec<_> = given.iter().map(|it| strings.expanded(it)).collect();
                let part = |at: usize| shown.get(at).map_or("", String::as_str);
                layout.text(&format!("{}({})", part(0), part(1)))?;
                layout.paragraph();
            }
            "Sh" | "Ss" => {
                layout.paragraph();
                *is_unfilled = false;
                self.lists.clear();
                self.is_in_synopsis = given.first().is_some_and(|it| it == "SYNOPSIS");
                layout.mark(if name == "Sh" { "#" } else { "##" })?;
                self.line.add(&given, strings, layout)?;
                layout.paragraph();
            }
            "Pp" | "Lp" | "PP" => layout.paragraph(),
            "Bd" => {
                layout.paragraph();
                let is_kept = given.iter().any(|it| it == "-literal" || it == "-unfilled");
                *is_unfilled = is_kept;
            }
            "Ed" => {
                *is_unfilled = false;
                layout.paragraph();
            }
            "D1" | "Dl" => {
                layout.line();
                self.line.add(&given, strings, layout)?;
                layout.line();
            }
            "Bl" => self.begin_list(&given, layout),
            "El" => {
                self.lists.pop();
                layout.paragraph();
            }
            "It" => self.item(&given, strings, layout)?,
            "Rs" | "Re" => {
                layout.line();
                self.is_in_reference = false;
            }
            "Os" | "Bk" | "Ek" | "Db" | "Sm" | "Hf" | "Tg" | "Bt" | "Ud" => {}
            _ if name.starts_with('%') => {
                layout.join();
                if self.is_in_reference {
                    layout.text(", ")?;
                }
                self.is_in_reference = true;
                let given: Vec<_> = given.iter().map(|it| strings.expanded(it)).collect();
                layout.text(&given.join(" "))?;
            }
            _ => {
                let begins_line =
                    self.is_in_synopsis && matches!(name, "Nm" | "Ft" | "In" | "Fd" | "Vt");
                if begins_line || *is_unfilled {
                    layout.line();
                }
                let with_name: Vec<_> = std::iter::once(name.to_owned()).chain(given).collect();
                self.line.add(&with_name, strings, layout)?;
                if *is_unfilled {
                    layout.next_line();
                }
            }
        }
        Ok(())
    }

    fn begin_list(&mut self, given: &[String], layout: &mut Layout) {
        let has = |option: &str| given.iter().any(|it| it == option);
        let list = if has("-bullet") || has("-dash") || has("-hyphen") || has("-item") {
            List::Marked
        } else if has("-enum") {
            List::Numbered(0)
        } else if has("-column") {
            List::Columns
        } else {
            List::Tagged
        };
        if self.lists.len() < DEEPEST_LIST {
            self.lists.push(list);
        }
        layout.paragraph();
    }

    fn item(&mut self, given: &[String], strings: &Strings, layout: &mut Layout) -> io::Result<()> {
        match self.lists.last_mut() {
            Some(List::Marked) => {
                layout.line();
                layout.mark("-")
            }
            Some(List::Numbered(number)) => {
                layout.line();
                *number = number.saturating_add(1);
                layout.mark(&format!("{number}."))
            }
            Some(List::Columns) => {
                layout.line();
                self.line.add(given, strings, layout)
            }
            _ => {
                layout.paragraph();
                self.line.add(given, strings, layout)?;
                layout.line();
                Ok(())
            }
        }
    }
}

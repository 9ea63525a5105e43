//! The macros `man`.

use super::{arguments::arguments, escapes::Strings};
use crate::kinds::layout::Layout;
use std::io;

/// The state of a page in these macros.
#[derive(Debug, Default)]
pub struct ManPage {
    /// What the next line of text is.
    next: Next,
    /// The address of a link, which follows its text.
    link: String,
}

#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
enum Next {
    #[default]
    Text,
    /// A tag, which is a line of its own.
    Tag,
    Heading,
}

impl ManPage {
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
        let given: Vec<_> = given.iter().map(|it| strings.expanded(it)).collect();
        match name {
            "TH" => {
                let title = given.first().map_or("", String::as_str);
                let section = given.get(1).map_or("", String::as_str);
                layout.text(&format!("{title}({section})"))?;
                layout.paragraph();
            }
            "SH" | "SS" => {
                layout.paragraph();
                *is_unfilled = false;
                layout.mark(if name == "SH" { "#" } else { "##" })?;
                self.next = Next::Heading;
                if !given.is_empty() {
                    layout.text(&given.join(" "))?;
                    self.tag_ended(layout);
                }
            }
            "PP" | "P" | "LP" | "HP" | "Pp" => layout.paragraph(),
            "TP" => {
                layout.paragraph();
                self.next = Next::Tag;
            }
            "TQ" => {
                layout.line();
                self.next = Next::Tag;
            }
            "IP" => {
                layout.paragraph();
                if let Some(tag) = given.first().filter(|it| !it.trim().is_empty()) {
                    layout.text(tag)?;
                    // Marks and numbers stay with their text.
                    if tag.chars().count() > 3 {
                        layout.line();
                    }
                    layout.space();
                }
            }
            "RS" | "RE" | "YS" => layout.line(),
            "B" | "I" | "SM" | "SB" | "R" | "CW" => {
                self.words(&given.join(" "), layout, *is_unfilled)?
            }
            "BR" | "RB" | "BI" | "IB" | "IR" | "RI" => {
                self.words(&given.concat(), layout, *is_unfilled)?;
            }
            "MR" => {
                let part = |at: usize| given.get(at).map_or("", String::as_str);
                let reference = format!("{}({}){}", part(0), part(1), part(2));
                self.words(&reference, layout, *is_unfilled)?;
            }
            "SY" => {
                layout.line();
                self.words(&given.join(" "), layout, false)?;
            }
            "OP" => self.words(&format!("[{}]", given.join(" ")), layout, false)?,
            "UR" | "MT" => self.link = given.into_iter().next().unwrap_or_default(),
            "UE" | "ME" => {
                let link = std::mem::take(&mut self.link);
                if !link.is_empty() {
                    layout.space();
                    layout.text(&format!("⟨{link}⟩"))?;
                }
                if let Some(punctuation) = given.first() {
                    layout.join();
                    layout.text(punctuation)?;
                }
            }
            // What else a macro package or a typesetter does shows nothing.
            _ => {}
        }
        Ok(())
    }

    fn words(&mut self, text: &str, layout: &mut Layout, is_unfilled: bool) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if is_unfilled {
            layout.preformatted(text)?;
            layout.next_line();
        } else {
            layout.space();
            layout.text(text)?;
        }
        self.tag_ended(layout);
        Ok(())
    }

    /// Sees to what waits for a line of text, after one.
    pub fn tag_ended(&mut self, layout: &mut Layout) {
        match std::mem::take(&mut self.next) {
            Next::Text => {}
            Next::Tag => layout.line(),
            Next::Heading => layout.paragraph(),
        }
    }
}

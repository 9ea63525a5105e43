//! A manual page, line by line: requests, conditions, and macros that the page defines. What
//! `man` and `mdoc` mean is in files of their own.

use super::{
    arguments::{arguments, filled},
    condition::{Blocks, Condition},
    escapes::Strings,
    man::ManPage,
    mdoc::MdocPage,
    table::Table,
};
use crate::kinds::{bounds::UnreadableDocument, layout::Layout};
use std::{collections::HashMap, io};

/// How deep macros of the page may call each other.
const DEEPEST_CALL: u32 = 16;

/// How many lines macros of the page may expand to.
const MAX_EXPANDED: u32 = 100_000;

/// Maximum size of the macros and strings that a page defines, in bytes.
const MAX_DEFINED: usize = 1024 * 1024;

/// Maximum length of a line that goes on in the next ones, in bytes.
const MAX_CONTINUED: usize = 1024 * 1024;

/// The state of a page.
pub struct Page<'a, 'b, 'c> {
    layout: &'a mut Layout<'b, 'c>,
    strings: Strings,
    macros: HashMap<String, Vec<String>>,
    /// What is defined, in bytes.
    defined: usize,
    expanded: u32,
    collecting: Option<Collecting>,
    blocks: Blocks,
    /// A line that goes on in the next one.
    continued: String,
    /// Whether lines are kept as they are.
    is_unfilled: bool,
    table: Option<Table>,
    man: ManPage,
    mdoc: Option<MdocPage>,
    /// Files that it includes.
    included: u32,
}

/// Lines that are not text, until a line of two dots or of that name.
struct Collecting {
    name: Option<String>,
    lines: Vec<String>,
    end: String,
}

// === impl Page ===

impl<'a, 'b, 'c> Page<'a, 'b, 'c> {
    /// Writes to `layout`.
    pub fn new(layout: &'a mut Layout<'b, 'c>) -> Self {
        Page {
            layout,
            strings: Strings::default(),
            macros: HashMap::new(),
            defined: 0,
            expanded: 0,
            collecting: None,
            blocks: Blocks::default(),
            continued: String::new(),
            is_unfilled: false,
            table: None,
            man: ManPage::default(),
            mdoc: None,
            included: 0,
        }
    }

    /// Adds a line of the page.
    ///
    /// # Errors
    /// When it cannot be written, or macros call each other without end.
    pub fn add(&mut self, line: &str) -> Result<(), UnreadableDocument> {
        let ends_open = line.bytes().rev().take_while(|it| *it == b'\\').count() % 2 == 1;
        if ends_open && self.collecting.is_none() && self.continued.len() < MAX_CONTINUED {
            self.continued.push_str(&line[..line.len() - 1]);
            return Ok(());
        }
        if self.continued.is_empty() {
            return self.process(line, 0);
        }
        let line = std::mem::take(&mut self.continued) + line;
        self.process(&line, 0)
    }

    fn process(&mut self, line: &str, depth: u32) -> Result<(), UnreadableDocument> {
        if let Some(collecting) = &mut self.collecting {
            let is_end = line.strip_prefix('.').is_some_and(|it| {
                it.trim() == collecting.end
                    || it.trim_start().starts_with(&format!("{} ", collecting.end))
            });
            if !is_end {
                self.defined += line.len();
                if collecting.name.is_some() && self.defined <= MAX_DEFINED {
                    collecting.lines.push(line.to_owned());
                }
                return Ok(());
            }
            if let Some(Collecting {
                name: Some(name),
                lines,
                ..
            }) = self.collecting.take()
            {
                self.macros.insert(name, lines);
            }
            return Ok(());
        }
        let Some(line) = self.blocks.open_part(line) else {
            return Ok(());
        };
        let line = line.as_ref();
        let control = line
            .strip_prefix(['.', '\''])
            .filter(|_| !self.is_table_data(line));
        match control {
            Some(control) => self.control(control.trim_start(), depth),
            None => Ok(self.text_line(line)?),
        }
    }

    fn is_table_data(&self, line: &str) -> bool {
        self.table.as_ref().is_some_and(|it| it.takes(line))
    }

    fn text_line(&mut self, line: &str) -> io::Result<()> {
        if let Some(table) = &mut self.table {
            let strings = &self.strings;
            return table.add(line, strings, self.layout);
        }
        let text = self.strings.expanded(line);
        if text.is_empty() && line.starts_with('\\') {
            // Only a comment, or a change of the font.
            return Ok(());
        }
        if self.is_unfilled {
            self.layout.preformatted(&text)?;
            self.layout.next_line();
        } else if text.trim().is_empty() {
            self.layout.paragraph();
        } else {
            if text.starts_with(' ') {
                self.layout.line();
            }
            self.layout.space();
            self.layout.text(&text)?;
        }
        self.text_ended(line)
    }

    /// Sees to what waits for a line of text.
    fn text_ended(&mut self, line: &str) -> io::Result<()> {
        if line.ends_with("\\c") {
            self.layout.join();
            return Ok(());
        }
        self.man.tag_ended(self.layout);
        Ok(())
    }

    fn control(&mut self, control: &str, depth: u32) -> Result<(), UnreadableDocument> {
        let end = control.find([' ', '\t', '\\']).unwrap_or(control.len());
        let (name, rest) = control.split_at(end);
        let rest = rest.trim_start();
        match name {
            "" => {}
            "if" | "ie" | "while" => {
                let (holds, rest) = Condition::new(&self.strings, &self.macros).of(rest);
                let holds = holds && name != "while";
                self.blocks.last = holds;
                return self.conditional(holds, rest, depth);
            }
            "el" => {
                let holds = !self.blocks.last;
                return self.conditional(holds, rest, depth);
            }
            "de" | "de1" | "am" | "dei" | "ig" => {
                let mut words = arguments(rest).into_iter();
                let is_added = name == "am";
                let name = if name == "ig" { None } else { words.next() };
                let end = words.next().unwrap_or_else(|| ".".to_owned());
                let earlier = name.as_ref().filter(|_| is_added);
                let earlier = earlier.and_then(|it| self.macros.get(it));
                let lines = earlier.cloned().unwrap_or_default();
                self.collecting = Some(Collecting { name, lines, end });
            }
            "ds" | "ds1" | "as" => self.define_string(rest, name == "as"),
            "nr" => self.strings.set_register(rest),
            "rm" => {
                for name in rest.split_whitespace() {
                    self.macros.remove(name);
                }
            }
            "als" | "rn" => {
                let mut words = rest.split_whitespace();
                if let (Some(new), Some(old)) = (words.next(), words.next()) {
                    let (new, old) = if name == "als" {
                        (new, old)
                    } else {
                        (old, new)
                    };
                    if let Some(lines) = self.macros.get(old).filter(|it| it.len() < 100).cloned() {
                        self.macros.insert(new.to_owned(), lines);
                    }
                }
            }
            "so" | "mso" => self.included += 1,
            "TS" => self.table = Some(Table::default()),
            "TE" => self.table = None,
            "T&" => {
                if let Some(table) = &mut self.table {
                    table.format_again();
                }
            }
            _ if self.macros.contains_key(name) && !is_known_helper(name) => {
                return self.call(name, rest, depth);
            }
            _ => return Ok(self.macro_line(name, rest)?),
        }
        Ok(())
    }

    fn conditional(
        &mut self,
        holds: bool,
        rest: &str,
        depth: u32,
    ) -> Result<(), UnreadableDocument> {
        let rest = rest.trim_start();
        if let Some(block) = rest.strip_prefix("\\{") {
            self.blocks.begin(holds);
            let block = block.trim_start().trim_end_matches('\\');
            return if block.is_empty() {
                Ok(())
            } else {
                self.nested(block, depth)
            };
        }
        match (holds, rest.is_empty()) {
            (true, false) => self.nested(rest, depth),
            _ => Ok(()),
        }
    }

    /// Processes what a line has in it.
    fn nested(&mut self, line: &str, depth: u32) -> Result<(), UnreadableDocument> {
        if depth == DEEPEST_CALL {
            return Err(UnreadableDocument::new(
                "its macros call each other without end",
                "",
            ));
        }
        self.process(line, depth + 1)
    }

    fn define_string(&mut self, rest: &str, is_added: bool) {
        let (name, value) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        let value = value.trim_start().trim_start_matches('"');
        self.defined += value.len();
        if self.defined <= MAX_DEFINED {
            self.strings.define(name, value, is_added);
        }
    }

    /// Expands a macro that the page defines.
    fn call(&mut self, name: &str, rest: &str, depth: u32) -> Result<(), UnreadableDocument> {
        let given = arguments(rest);
        let lines = self.macros.get(name).cloned().unwrap_or_default();
        for line in lines {
            self.expanded += 1;
            if self.expanded > MAX_EXPANDED {
                return Err(UnreadableDocument::new(
                    "its macros call each other without end",
                    "",
                ));
            }
            let line = filled(&line, &given);
            self.nested(&line, depth)?;
        }
        Ok(())
    }

    /// A macro of `man` or `mdoc`, or a request.
    fn macro_line(&mut self, name: &str, rest: &str) -> io::Result<()> {
        match name {
            "br" => self.layout.line(),
            "sp" | "Sp" | "bp" => self.layout.paragraph(),
            "nf" | "EX" | "Vb" => {
                self.layout.line();
                self.is_unfilled = true;
            }
            "fi" | "EE" | "Ve" => {
                self.layout.line();
                self.is_unfilled = false;
            }
            "Dd" => self.mdoc = Some(MdocPage::default()),
            _ => {
                if let Some(mdoc) = &mut self.mdoc {
                    mdoc.add(
                        name,
                        rest,
                        &self.strings,
                        self.layout,
                        &mut self.is_unfilled,
                    )?;
                } else {
                    self.man.add(
                        name,
                        rest,
                        &self.strings,
                        self.layout,
                        &mut self.is_unfilled,
                    )?;
                }
            }
        }
        Ok(())
    }

    /// Completes the text, and returns what was left out.
    ///
    /// # Errors
    /// When it cannot be written, or it only refers to another page.
    pub fn end(mut self) -> Result<Vec<String>, UnreadableDocument> {
        if !self.continued.is_empty() {
            let line = std::mem::take(&mut self.continued);
            self.process(&line, 0)?;
        }
        self.layout.end()?;
        if self.included > 0 && !self.layout.has_text() {
            let reason = "it only refers to another page";
            return Err(UnreadableDocument::new(reason, "give that one"));
        }
        if self.included == 0 {
            return Ok(Vec::new());
        }
        Ok(vec![format!(
            "{} included files were left out",
            self.included
        )])
    }
}

/// Macros that generators of pages define in terms of a typesetter: what they mean is known.
fn is_known_helper(name: &str) -> bool {
    matches!(
        name,
        "Sp" | "Vb" | "Ve" | "IX" | "EX" | "EE" | "SH" | "SS" | "TP" | "IP" | "PP" | "TH"
    )
}

//! Tables (`tbl`): a row is a line, its cells are apart by bars.

use super::escapes::Strings;
use crate::kinds::layout::Layout;
use std::io;

/// Maximum size of a cell of several lines, in bytes.
const MAX_CELL: usize = 64 * 1024;

/// A table that is being read.
#[derive(Debug)]
pub struct Table {
    separator: char,
    /// Whether the lines describe the format: until one ends with a full stop.
    is_in_format: bool,
    /// The cells of a row so far, when the last one has several lines.
    row: String,
    is_in_cell: bool,
}

impl Default for Table {
    fn default() -> Self {
        Table {
            separator: '\t',
            is_in_format: true,
            row: String::new(),
            is_in_cell: false,
        }
    }
}

impl Table {
    /// Whether a line that looks like a request is data.
    pub fn takes(&self, line: &str) -> bool {
        let is_end = line.starts_with(".TE") || line.starts_with(".T&");
        self.is_in_format && !is_end && !line.starts_with(".\\\"")
    }

    /// A new format follows.
    pub fn format_again(&mut self) {
        self.is_in_format = true;
    }

    /// Adds a line of text.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, line: &str, strings: &Strings, layout: &mut Layout) -> io::Result<()> {
        if self.is_in_format {
            if let Some((_, option)) = line.split_once("tab(")
                && line.trim_end().ends_with(';')
            {
                self.separator = option.chars().next().unwrap_or('\t');
            }
            self.is_in_format = !line.trim_end().ends_with('.');
            return Ok(());
        }
        if self.is_in_cell {
            let Some(rest) = line.strip_prefix("T}") else {
                if self.row.len() < MAX_CELL {
                    self.row.push(' ');
                    self.row.push_str(line);
                }
                return Ok(());
            };
            self.is_in_cell = false;
            self.row.push_str(rest);
        } else {
            line.clone_into(&mut self.row);
        }
        if self.row.ends_with("T{") {
            self.row.truncate(self.row.len() - 2);
            self.is_in_cell = true;
            return Ok(());
        }
        let row = std::mem::take(&mut self.row);
        if row.bytes().all(|it| matches!(it, b'_' | b'=')) {
            return Ok(());
        }
        layout.line();
        let cells = row.split(self.separator).map(|cell| strings.expanded(cell));
        // Spans, and the lines within columns.
        let cells = cells.filter(|it| !matches!(it.trim(), "_" | "=" | "^"));
        for (index, cell) in cells.enumerate() {
            if index > 0 {
                layout.text(" | ")?;
            }
            layout.text(cell.trim())?;
        }
        layout.line();
        Ok(())
    }
}

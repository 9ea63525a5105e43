//! How far a run is: a bar on a terminal, a line now and then elsewhere.

use super::totals::Totals;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows on standard error how far a run is.
pub struct Progress {
    documents: usize,
    bar: ProgressBar,
    began: Instant,
    /// When the next line is due; `None` on a terminal.
    next_line: Option<Instant>,
}

// === impl Progress ===

impl Progress {
    /// The progress over this number of documents; none is shown for a single one.
    pub fn new(documents: usize) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let bar = if documents > 1 && is_terminal {
            ProgressBar::new(documents as u64).with_style(style())
        } else {
            ProgressBar::hidden()
        };
        let began = Instant::now();
        Progress {
            documents,
            bar,
            began,
            next_line: (documents > 1 && !is_terminal).then(|| began + LINE_EVERY),
        }
    }

    /// Writes something else to the terminal that the bar may be on.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Shows what is done.
    pub fn show(&mut self, totals: &Totals) {
        self.bar.set_position(totals.done() as u64);
        self.bar.set_message(totals.to_string());
        if self.next_line.is_some_and(|due| due <= Instant::now()) {
            self.next_line = Some(Instant::now() + LINE_EVERY);
            say(&format!(
                "{} of {} documents: {totals}",
                totals.done(),
                self.documents
            ));
        }
    }

    /// Removes the bar, and says what was done.
    pub fn end(self, totals: &Totals) {
        self.bar.finish_and_clear();
        if self.documents > 1 {
            say(&totals.line(self.began.elapsed()));
        }
    }
}

/// Writes a line to standard error. If that is closed, there is nowhere to say so.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr(), "claude-grpc: {line}");
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {pos}/{len}, {eta} left: {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

//! Where the results of a run go: to standard output, to the output file, or to a file
//! each.

use super::{
    answer_folder::AnswerFolder,
    batch::BatchesFile,
    journal::Journal,
    line::{EarlierLine, ResultLine},
};
use crate::cli::{
    client::{input::is_stdin, inputs::Input, parts_file::PartsFile, written::WrittenFiles},
    exit::Failure,
    output,
};
use serde::Deserialize;
use serde_json::Value;
use std::{cell::RefCell, collections::HashSet, path::PathBuf, rc::Rc};

/// Flags for where the results of a run go.
#[derive(Debug, Clone, clap::Args)]
pub struct ResultFlags {
    /// Print one JSON object per document as soon as it is done, failures included.
    #[arg(long)]
    json: bool,
    /// File for the JSON objects, instead of standard output. It must be new or empty,
    /// unless --resume is given.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Go on with the run that wrote the output file: what it has asked about the same
    /// content of the same path, with the same options, is not asked again.
    #[arg(long, requires = "output")]
    resume: bool,
    /// Folder for a file with each answer, instead of standard output: a document's path
    /// below it and `.txt`, or `.json` with --json.
    #[arg(long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,
}

/// Where the results of a run go.
pub struct Results {
    shape: Shape,
    /// What is between two answers as text.
    separator: &'static str,
    is_first: bool,
    journal: Option<Journal>,
    folder: Option<AnswerFolder>,
    /// Documents with an answer in the journal, and none in the folder.
    not_in_folder: HashSet<String>,
    /// What is kept of long documents while the journal has no answer about them.
    parts: Option<Rc<RefCell<PartsFile>>>,
}

/// What is read of a line whose answer goes to the folder.
#[derive(Deserialize)]
struct KeptLine {
    file: String,
    response: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Json,
    Text,
}

// === impl ResultFlags ===

impl ResultFlags {
    /// Whether the answers go to standard output as text.
    pub fn are_text(&self) -> bool {
        !self.json && self.output.is_none() && self.output_dir.is_none()
    }

    /// What the run writes, which is none of its documents.
    ///
    /// # Errors
    /// When the output file is named as standard output is elsewhere.
    pub fn written(&self) -> Result<WrittenFiles, Failure> {
        if self.output.as_deref().is_some_and(is_stdin) {
            return Err(Failure::usage(
                "--output: must be a file; --json without it prints the lines",
            ));
        }
        let parts = self.output.as_deref().map(PartsFile::path);
        let folder = self.output_dir.clone();
        let all = [self.output.clone(), parts, self.batches(), folder];
        let written = WrittenFiles::of(all.into_iter().flatten());
        Ok(written.and_standard_streams())
    }

    /// The path of the file with the batches, if there is an output file.
    pub fn batches(&self) -> Option<PathBuf> {
        self.output.as_deref().map(BatchesFile::path)
    }

    /// Whether results are JSON.
    pub fn are_json(&self) -> bool {
        self.json
    }

    /// Opens the files for the answers about these documents. `separator` is between two
    /// answers as text.
    ///
    /// # Errors
    /// When the output file has something but is not resumed, or is not of a run; when two
    /// documents would have the same file; when a file cannot be written.
    pub fn open(&self, inputs: &[Input], separator: &'static str) -> Result<Results, Failure> {
        let shape = if self.json { Shape::Json } else { Shape::Text };
        let extension = if self.json { ".json" } else { ".txt" };
        let folder = self.output_dir.as_deref();
        let folder = folder.map(|folder| AnswerFolder::new(folder, extension, inputs));
        let journal = self.output.as_deref().map(|path| {
            if self.resume {
                Journal::resume(path)
            } else {
                Journal::create(path)
            }
        });
        let journal = journal.transpose()?;
        // Behind the lock of the journal.
        let parts = self.output.as_deref().map(|output| {
            let path = PartsFile::path(output);
            let opened = PartsFile::open(path.clone());
            opened.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
        });
        let parts = parts.transpose()?.map(RefCell::new).map(Rc::new);
        Ok(Results {
            shape,
            separator,
            is_first: true,
            folder: folder.transpose()?,
            not_in_folder: HashSet::new(),
            journal,
            parts,
        })
    }
}

// === impl Results ===

impl Results {
    /// What an earlier run has written about a document.
    pub fn earlier(&self, file: &str) -> Option<&EarlierLine> {
        self.journal.as_ref()?.earlier().get(file)
    }

    /// Creates the folder of the answers, if they go to one.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create_folder(&self) -> Result<(), Failure> {
        self.folder.as_ref().map_or(Ok(()), AnswerFolder::create)
    }

    /// Writes what became of a document; `text` is its answer as text.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, line: &ResultLine, text: Option<&str>) -> Result<(), Failure> {
        // Before the journal has it: a resumed run relies on that.
        if let (Some(folder), Some(text)) = (&self.folder, text) {
            match self.shape {
                Shape::Json => folder.write(&line.file, &format!("{}\n", json(line)))?,
                Shape::Text => folder.write(&line.file, &format!("{}\n", text.trim_end()))?,
            }
        }
        if let Some(journal) = &mut self.journal {
            return journal.append(line);
        }
        match (self.shape, text) {
            _ if self.folder.is_some() => Ok(()),
            (Shape::Json, _) => output::line(&json(line)),
            (Shape::Text, Some(text)) => {
                let separator = if self.is_first { "" } else { self.separator };
                self.is_first = false;
                output::write(&format!("{separator}{text}"))
            }
            (Shape::Text, None) => Ok(()),
        }
    }

    /// Keeps what an earlier run has written about a document.
    pub fn keep(&mut self, line: &EarlierLine) {
        if self.folder.as_ref().is_some_and(|it| it.lacks(&line.file)) {
            self.not_in_folder.insert(line.file.clone());
        }
    }

    /// Writes the answers that were [kept](Self::keep) to the folder, if it is another one
    /// than that of the earlier run. `text` is a response as text.
    ///
    /// # Errors
    /// When the output file cannot be read, or an answer cannot be written.
    pub fn write_kept(&self, text: impl Fn(&Value) -> Option<String>) -> Result<(), Failure> {
        let (Some(folder), Some(journal)) = (&self.folder, &self.journal) else {
            return Ok(());
        };
        if self.not_in_folder.is_empty() {
            return Ok(());
        }
        journal.each_line(|line| {
            let Ok(KeptLine { file, response }) = serde_json::from_slice(line) else {
                return Ok(());
            };
            if !self.not_in_folder.contains(&file) {
                return Ok(());
            }
            let answer = match self.shape {
                Shape::Json => Some(String::from_utf8_lossy(line).into_owned()),
                Shape::Text => text(&response),
            };
            answer.map_or(Ok(()), |answer| {
                folder.write(&file, &format!("{}\n", answer.trim_end()))
            })
        })
    }

    /// What is kept of long documents, if there is an output file.
    pub fn parts(&self) -> Option<Rc<RefCell<PartsFile>>> {
        self.parts.clone()
    }

    /// Completes the output file. `is_all` is whether all documents have their answers.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(self, is_all: bool) -> Result<(), Failure> {
        if let Some(parts) = self.parts
            && is_all
        {
            // What stays is in nobody's way.
            let _ = parts.borrow().remove();
        }
        self.journal.map_or(Ok(()), Journal::end)
    }
}

fn json(line: &ResultLine) -> String {
    serde_json::to_string(line).expect("a line has no keys but texts")
}

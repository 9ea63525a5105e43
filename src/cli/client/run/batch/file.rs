//! The batches of a run, in a file next to the output file: a run that goes on collects
//! what an earlier one has submitted, and submits nothing twice.
//!
//! A batch is written to the file before it is submitted. What was interrupted in between is
//! submitted again with the same `request_id`, for which the service returns the batch that
//! it has, if it has one.

use crate::{cli::client::kept_lines::KeptLines, kinds::Reading};
use serde::{Deserialize, Serialize};
use std::{
    io,
    path::{Path, PathBuf},
};

/// The batches of a run that have not been collected.
#[derive(Debug)]
pub struct BatchesFile {
    lines: KeptLines,
    open: Vec<OpenBatch>,
}

/// A batch that has not been collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBatch {
    /// With which it is submitted.
    pub request_id: String,
    /// SHA-256 of the requests without their documents, in hexadecimal digits.
    pub options: String,
    /// Its documents. The id of an item is the index of its document.
    pub documents: Vec<BatchedDocument>,
    /// Its id; `None` while it is not known whether the service has it.
    pub id: Option<String>,
}

/// A document of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchedDocument {
    /// The path, as on the command line.
    pub file: String,
    /// SHA-256 of its content, in hexadecimal digits.
    pub digest: String,
    /// What was read.
    #[serde(flatten)]
    pub reading: Reading,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum BatchEvent {
    /// It is about to be submitted.
    Submitting {
        request: String,
        options: String,
        documents: Vec<BatchedDocument>,
    },
    /// The service has it.
    Submitted { request: String, batch: String },
    /// The output file has what became of its documents.
    Collected { request: String },
}

// === impl OpenBatch ===

impl OpenBatch {
    /// Its id; empty while it is not known whether the service has it.
    pub fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    /// The document of an item.
    pub fn document(&self, item: &str) -> Option<&BatchedDocument> {
        self.documents.get(item.parse::<usize>().ok()?)
    }
}

// === impl BatchedDocument ===

impl BatchedDocument {
    /// A document that has not been read.
    pub fn new(file: String, digest: String) -> Self {
        BatchedDocument {
            file,
            digest,
            reading: Reading::default(),
        }
    }

    /// Its path and its content.
    pub fn key(&self) -> (String, String) {
        (self.file.clone(), self.digest.clone())
    }
}

// === impl BatchesFile ===

impl BatchesFile {
    /// The file of a run with this output file.
    pub fn path(output: &Path) -> PathBuf {
        KeptLines::path(output, ".batches")
    }

    /// Opens the file, and reads what an earlier run has left. A last line that was cut
    /// goes.
    ///
    /// # Errors
    /// When it cannot be read or written, or has other lines.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let mut open = Vec::new();
        let lines = KeptLines::open(path, |event| {
            apply(event, &mut open);
            Ok(())
        })?;
        Ok(BatchesFile { lines, open })
    }

    /// The batches that have not been collected, the oldest first.
    pub fn open_batches(&self) -> &[OpenBatch] {
        &self.open
    }

    /// Keeps a batch that is about to be submitted.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn submitting(&mut self, batch: &OpenBatch) -> io::Result<()> {
        self.append(BatchEvent::Submitting {
            request: batch.request_id.clone(),
            options: batch.options.clone(),
            documents: batch.documents.clone(),
        })
    }

    /// Keeps the id of a batch that the service has.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn submitted(&mut self, request_id: &str, id: String) -> io::Result<()> {
        self.append(BatchEvent::Submitted {
            request: request_id.to_owned(),
            batch: id,
        })
    }

    /// Forgets a batch, since the output file has its results.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn collected(&mut self, request_id: &str) -> io::Result<()> {
        self.append(BatchEvent::Collected {
            request: request_id.to_owned(),
        })
    }

    /// Removes the file if no batch is left in it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_if_empty(&self) -> io::Result<()> {
        if self.open.is_empty() {
            self.lines.remove()?;
        }
        Ok(())
    }

    fn append(&mut self, event: BatchEvent) -> io::Result<()> {
        self.lines.append(&event)?;
        apply(event, &mut self.open);
        Ok(())
    }
}

fn apply(event: BatchEvent, open: &mut Vec<OpenBatch>) {
    match event {
        BatchEvent::Submitting {
            request,
            options,
            documents,
        } => open.push(OpenBatch {
            request_id: request,
            options,
            documents,
            id: None,
        }),
        BatchEvent::Submitted { request, batch } => {
            let mut all = open.iter_mut();
            if let Some(of) = all.find(|it| it.request_id == request) {
                of.id = Some(batch);
            }
        }
        BatchEvent::Collected { request } => open.retain(|it| it.request_id != request),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn batch(request_id: &str) -> OpenBatch {
        OpenBatch {
            request_id: request_id.to_owned(),
            options: "o".to_owned(),
            documents: vec![BatchedDocument {
                file: "a.txt".to_owned(),
                digest: "1".to_owned(),
                reading: Reading {
                    kind: "text".to_owned(),
                    ..Reading::default()
                },
            }],
            id: None,
        }
    }

    #[test]
    fn what_was_submitted_is_there_after_a_kill_and_what_was_cut_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = BatchesFile::path(&folder.path().join("out.jsonl"));
        let open = || BatchesFile::open(path.clone()).unwrap();
        let mut file = open();
        for request in ["1", "2", "3"] {
            file.submitting(&batch(request)).unwrap();
        }
        file.submitted("1", "batch_1".to_owned()).unwrap();
        file.submitted("2", "batch_2".to_owned()).unwrap();
        file.collected("2").unwrap();
        let expected = file.open_batches().to_vec();
        drop(file);
        let text = fs::read(&path).unwrap();
        let cut = br#"{"event":"collected","req"#;
        fs::write(&path, [&text[..], cut].concat()).unwrap();

        let mut file = open();
        assert_eq!(fs::read(&path).unwrap(), text);
        assert_eq!(file.open_batches(), expected);
        let ids = |file: &BatchesFile| -> Vec<_> {
            let open = file.open_batches().iter();
            open.map(|it| (it.request_id.clone(), it.id.clone()))
                .collect()
        };
        let id = Some("batch_1".to_owned());
        assert_eq!(ids(&file), [("1".to_owned(), id), ("3".to_owned(), None)]);
        file.collected("1").unwrap();
        file.remove_if_empty().unwrap();
        assert!(path.exists(), "a batch is left");
        file.collected("3").unwrap();
        file.remove_if_empty().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn another_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.batches");
        fs::write(&path, "notes\nof mine\n").unwrap();
        assert!(BatchesFile::open(path.clone()).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "notes\nof mine\n");
    }
}

//! Reads documents that are not plain text, each in a process of its own, and PDFs.

use super::short_document::ShortDocument;
use crate::{
    cli::{
        exit::{Exit, Failure},
        read_document::{MAX_MEMORY, MAX_SECONDS, ReadOutcome},
    },
    kinds::{Kind, MAX_DOCUMENT_BYTES, MAX_TEXT, PdfForm, Reading, SentAs, UnreadableDocument},
};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::{
    env,
    fs::File,
    io::{self, Read, Seek, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    thread::available_parallelism,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    sync::Semaphore,
    task::spawn_blocking,
    time::timeout,
};

/// Texts that are longer are sent in chunks, in bytes.
pub const LONGEST_MESSAGE: u64 = 1024 * 1024;

/// How long the process may take, also when it waits for a processor.
const MAX_TIME: Duration = Duration::from_secs(120);

/// How much is kept of what the process says, in bytes.
const MAX_SAID: u64 = 64 * 1024;

/// Size of the buffer for text, in bytes.
const BUFFER: usize = 256 * 1024;

/// Signals that end a process: of a broken stack, of too much memory, of too much time.
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
const SIGSEGV: i32 = 11;
const SIGXCPU: i32 = 24;

/// Reads documents, as many at once as there are processors.
#[derive(Debug)]
pub struct DocumentReader {
    processes: Semaphore,
    /// What is sent of a PDF.
    pdf: PdfForm,
}

/// A document that was read.
#[derive(Debug)]
pub struct ReadDocument {
    pub content: ReadContent,
    pub reading: Reading,
}

/// What is sent of a document.
#[derive(Debug)]
pub enum ReadContent {
    /// What goes in one message.
    Short(ShortDocument),
    /// A text in a file without a name, and its SHA-256.
    Long { file: File, sha256: Bytes },
}

/// What a process has written.
enum Written {
    Memory(Vec<u8>),
    /// In a file without a name, and its SHA-256.
    File {
        file: File,
        sha256: Bytes,
    },
}

// === impl DocumentReader ===

impl DocumentReader {
    /// Makes one that sends this of a PDF.
    pub fn new(pdf: PdfForm) -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        DocumentReader {
            processes: Semaphore::new(processors),
            pdf,
        }
    }

    /// Reads a document of this file name and kind from the beginning of `file`.
    ///
    /// # Errors
    /// [`Exit::Usage`] when it cannot be read.
    pub async fn read(&self, file: File, name: &str, kind: Kind) -> Result<ReadDocument, Failure> {
        let _permit = self.processes.acquire().await;
        let unreadable = |reason: &str| {
            let error = UnreadableDocument::new(reason, kind.advice()).of(kind.title());
            Failure::usage(error.to_string())
        };
        let failed = |error: io::Error| {
            let reason = format!("failed to run the process that reads documents: {error}");
            Failure::new(Exit::Failed, reason)
        };
        let mut process = Command::new(program())
            .arg("read-document")
            .arg(format!("--name={name}"))
            .arg(format!("--pdf={}", self.pdf.name()))
            // It needs none, and some are secret.
            .env_clear()
            .stdin(file)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let output = process.stdout.take();
        let said = process.stderr.take();
        let finished =
            async { tokio::try_join!(collected(output), all_said(said), process.wait()) };
        let Ok(finished) = timeout(MAX_TIME, finished).await else {
            return Err(unreadable(&format!(
                "it takes more than {} s",
                MAX_TIME.as_secs()
            )));
        };
        let (written, said, status) = finished.map_err(failed)?;
        match outcome(&said) {
            Some(ReadOutcome::Read(reading)) if status.success() => {
                let content = match reading.sent_as {
                    Some(SentAs::Document) => written.into_pdf().map_err(failed)?,
                    Some(SentAs::Text) | None => written.into_text(),
                };
                Ok(ReadDocument {
                    content: content
                        .ok_or_else(|| unreadable("what was read of it is not valid"))?,
                    reading,
                })
            }
            Some(ReadOutcome::Unreadable(reason)) => Err(Failure::usage(reason)),
            _ => Err(unreadable(&why(status, &said))),
        }
    }
}

/// A file without a name that has these bytes.
///
/// # Errors
/// When it cannot be written.
pub async fn in_file(bytes: Vec<u8>) -> Result<File, Failure> {
    let written = spawn_blocking(move || {
        let mut file = tempfile::tempfile()?;
        file.write_all(&bytes)?;
        file.rewind()?;
        Ok::<_, io::Error>(file)
    });
    match written.await {
        Ok(Ok(file)) => Ok(file),
        Ok(Err(error)) => {
            let reason = format!("failed to write a temporary file: {error}");
            Err(Failure::new(Exit::Failed, reason))
        }
        Err(_) => Err(Failure::new(Exit::Failed, "reading was cancelled")),
    }
}

/// This program, also after an update has replaced its file.
fn program() -> PathBuf {
    let running = Path::new("/proc/self/exe");
    match env::current_exe() {
        Ok(path) if !running.exists() => path,
        _ => running.to_owned(),
    }
}

// === impl Written ===

impl Written {
    /// As a text; `None` if it is not UTF-8.
    fn into_text(self) -> Option<ReadContent> {
        match self {
            Written::Memory(bytes) => {
                let text = String::from_utf8(bytes).ok()?;
                Some(ReadContent::Short(ShortDocument::Text(text)))
            }
            Written::File { file, sha256 } => Some(ReadContent::Long { file, sha256 }),
        }
    }

    /// As a PDF that goes in one message; `None` if it cannot.
    fn into_pdf(self) -> io::Result<Option<ReadContent>> {
        let bytes = match self {
            Written::Memory(bytes) => bytes,
            Written::File { mut file, .. } => {
                let mut bytes = Vec::new();
                file.rewind()?;
                file.take(MAX_DOCUMENT_BYTES as u64 + 1)
                    .read_to_end(&mut bytes)?;
                bytes
            }
        };
        let is_short = bytes.len() <= MAX_DOCUMENT_BYTES;
        Ok(is_short.then(|| ReadContent::Short(ShortDocument::Pdf(Bytes::from(bytes)))))
    }
}

/// What a process writes: in a file if it is long.
async fn collected(output: Option<impl AsyncRead + Unpin>) -> io::Result<Written> {
    let Some(mut output) = output else {
        return Ok(Written::Memory(Vec::new()));
    };
    let (mut text, mut file) = (Vec::new(), None);
    let (mut sha256, mut length) = (Sha256::new(), 0);
    let mut buffer = vec![0; BUFFER];
    loop {
        let piece = match output.read(&mut buffer).await? {
            0 => break,
            length => &buffer[..length],
        };
        length += piece.len() as u64;
        if length > MAX_TEXT {
            return Err(io::Error::other("its text is too long"));
        }
        sha256.update(piece);
        match &mut file {
            None => {
                text.extend_from_slice(piece);
                if length > LONGEST_MESSAGE {
                    let mut long = tempfile::tempfile()?;
                    long.write_all(&std::mem::take(&mut text))?;
                    file = Some(long);
                }
            }
            Some(file) => file.write_all(piece)?,
        }
    }
    Ok(match file {
        None => Written::Memory(text),
        Some(file) => Written::File {
            file,
            sha256: Bytes::copy_from_slice(&sha256.finalize()),
        },
    })
}

/// What a process says, up to a bound.
async fn all_said(said: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(mut said) = said {
        (&mut said).take(MAX_SAID).read_to_end(&mut bytes).await?;
        tokio::io::copy(&mut said, &mut tokio::io::sink()).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What became of the document, in the last line that the process says.
fn outcome(said: &str) -> Option<ReadOutcome> {
    serde_json::from_str(said.lines().last()?).ok()
}

/// Why a process ended without an outcome.
fn why(status: ExitStatus, said: &str) -> String {
    let memory = MAX_MEMORY >> 20;
    match status.signal() {
        Some(SIGSEGV) => "it is nested too deeply".to_owned(),
        Some(SIGABRT) if said.contains("overflowed its stack") => {
            "it is nested too deeply".to_owned()
        }
        Some(SIGABRT) => format!("it takes more than {memory} MiB of memory"),
        Some(SIGXCPU | SIGKILL) => {
            format!("it takes more than {MAX_SECONDS} s of processor time")
        }
        _ => "it is damaged, or its structure is not understood".to_owned(),
    }
}

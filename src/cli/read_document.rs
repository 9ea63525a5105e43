//! `claude-grpc read-document`: the text of a document, or a PDF that goes as a document, in a
//! process of its own.
//!
//! Documents may be hostile, and what reads them comes from others. The client commands
//! start this process for each document that is not plain text. Before it reads a byte, it
//! limits its own memory and processor time, and gives up files: whatever a document does,
//! it ends at most this process.

use super::exit::{Exit, Failure};
use crate::kinds::{self, PdfForm, Reading};
use rustix::{
    process::{Resource, Rlimit, setrlimit},
    stdio::dup2_stdout,
};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Write},
    os::fd::AsFd,
    panic, thread,
};

/// Maximum memory of the process, in bytes.
pub const MAX_MEMORY: u64 = 512 * 1024 * 1024;

/// Maximum processor time, in seconds.
pub const MAX_SECONDS: u64 = 30;

/// Size of the stack, in bytes: for nesting that is deep but finite.
const STACK: usize = 32 * 1024 * 1024;

/// Size of the buffers for input and output, in bytes.
const BUFFER: usize = 256 * 1024;

/// Flags of `read-document`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File name of the document, for its extension.
    #[arg(long, default_value = "")]
    name: String,
    /// What to write of a PDF.
    #[arg(long, default_value = "text")]
    pdf: PdfForm,
}

/// What became of a document: a line of JSON on standard error.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReadOutcome {
    /// Its text is on standard output, or all of it, if it is sent as a document.
    Read(Reading),
    /// It cannot be read, for this reason.
    Unreadable(String),
}

/// Reads the document on standard input, and writes what is sent of it to standard output.
///
/// # Errors
/// When it cannot be read.
pub fn run(args: Args) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Failed, error.to_string());
    let input = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(failed)?);
    let output = File::from(io::stdout().as_fd().try_clone_to_owned().map_err(failed)?);
    // What a crate prints must not be a part of the text.
    dup2_stdout(io::stderr()).map_err(|error| failed(error.into()))?;
    limit().map_err(failed)?;
    // A panic may quote the document.
    panic::set_hook(Box::new(|_| {}));
    let reading = thread::Builder::new().stack_size(STACK).spawn(move || {
        let mut input = BufReader::with_capacity(BUFFER, input);
        let mut output = BufWriter::with_capacity(BUFFER, output);
        kinds::read(&mut input, &args.name, args.pdf, &mut output)
    });
    let Ok(read) = reading.map_err(failed)?.join() else {
        return Err(Failure::Reported(Exit::Failed));
    };
    let outcome = match read {
        Ok(reading) => ReadOutcome::Read(reading),
        Err(error) => ReadOutcome::Unreadable(error.to_string()),
    };
    let line = serde_json::to_string(&outcome).expect("an outcome has no keys but texts");
    writeln!(io::stderr(), "{line}").map_err(failed)?;
    match outcome {
        ReadOutcome::Read(_) => Ok(()),
        ReadOutcome::Unreadable(_) => Err(Failure::Reported(Exit::Usage)),
    }
}

/// Limits what this process may use from now on.
fn limit() -> io::Result<()> {
    for (resource, maximum) in [
        (Resource::As, MAX_MEMORY),
        (Resource::Cpu, MAX_SECONDS),
        (Resource::Nofile, 0),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ] {
        let limit = Rlimit {
            current: Some(maximum),
            maximum: Some(maximum),
        };
        setrlimit(resource, limit)?;
    }
    Ok(())
}

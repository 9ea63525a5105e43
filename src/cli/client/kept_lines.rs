//! A file next to the output file of a run, with what a run that goes on must know: lines of
//! JSON, appended one at a time.

use serde::{Serialize, de::DeserializeOwned};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Seek, Write},
    path::{Path, PathBuf},
};

/// A file with lines of JSON.
#[derive(Debug)]
pub struct KeptLines {
    path: PathBuf,
    file: File,
}

// === impl KeptLines ===

impl KeptLines {
    /// The file of a run with this output file: `extension` follows all of its name.
    pub fn path(output: &Path, extension: &str) -> PathBuf {
        let mut path = OsString::from(output);
        path.push(extension);
        PathBuf::from(path)
    }

    /// Opens the file, and passes on the lines of earlier runs. A last line that was cut
    /// goes.
    ///
    /// # Errors
    /// When it cannot be read or written, has other lines, or one is not accepted.
    pub fn open<T: DeserializeOwned>(
        path: PathBuf,
        mut accept: impl FnMut(T) -> io::Result<()>,
    ) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(&path)?;
        let mut lines = BufReader::new(&file);
        let (mut line, mut length) = (Vec::new(), 0);
        while lines.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            accept(serde_json::from_slice(&line)?)?;
            length += line.len() as u64;
            line.clear();
        }
        file.set_len(length)?;
        (&file).seek(io::SeekFrom::End(0))?;
        Ok(KeptLines { path, file })
    }

    /// Appends a line, in one write.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut json = serde_json::to_vec(line)?;
        json.push(b'\n');
        self.file.write_all(&json)
    }

    /// Removes the file of a run that needs it no more.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

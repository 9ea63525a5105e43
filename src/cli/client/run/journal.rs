//! The output file of a run: one line for each document, appended when it is done, so that
//! a run that stops, by whatever cause, can be resumed without paying an answer again.
//!
//! A document that is asked again has a second line; the last one counts. The first one
//! goes when the run ends, or when the next one begins.

use super::line::{EarlierLine, ResultLine};
use crate::cli::exit::Failure;
use std::{
    collections::HashMap,
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, BufWriter, Seek, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The output file, which no other run writes at the same time.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    /// Whether some document has more than one line.
    has_repeats: bool,
    earlier: EarlierLines,
}

/// The last line of each document in an earlier run, by its path.
pub type EarlierLines = HashMap<String, EarlierLine>;

// === impl Journal ===

impl Journal {
    /// Creates the file. One that has something is not overwritten: it was paid for.
    ///
    /// # Errors
    /// When it has something, another run writes it, or it cannot be created.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let journal = Journal::open(path).map_err(|error| failure(path, &error))?;
        let length = journal.file.metadata().map(|metadata| metadata.len());
        match length {
            Ok(0) => Ok(journal),
            Ok(_) => Err(failure(
                path,
                &"must be empty or new, or --resume must be given",
            )),
            Err(error) => Err(failure(path, &error)),
        }
    }

    /// Opens the file of an earlier run, if there is one. A last line that was cut goes.
    ///
    /// # Errors
    /// When another run writes it, it has lines that no run has written, or it cannot be
    /// read or written.
    pub fn resume(path: &Path) -> Result<Self, Failure> {
        let resumed = Journal::open(path).and_then(|mut journal| {
            journal.read()?;
            journal.remove_repeats()?;
            Ok(journal)
        });
        resumed.map_err(|error| failure(path, &error))
    }

    /// What an earlier run has written.
    pub fn earlier(&self) -> &EarlierLines {
        &self.earlier
    }

    /// Hands out each line, without its line break.
    ///
    /// # Errors
    /// When the file cannot be read, and what `handle` fails with.
    pub fn each_line(
        &self,
        mut handle: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let unread = |error| failure(&self.path, &error);
        let mut lines = Lines::of(&self.file).map_err(unread)?;
        while let Some((_, line)) = lines.next().map_err(unread)? {
            handle(line.trim_ascii_end())?;
        }
        Ok(())
    }

    /// Appends a line, in one write: it is there as a whole unless the system itself ends.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&mut self, line: &ResultLine) -> Result<(), Failure> {
        self.has_repeats |= self.earlier.contains_key(&line.file);
        let json = serde_json::to_vec(line).map_err(io::Error::from);
        let written = json.and_then(|mut json| {
            json.push(b'\n');
            self.file.write_all(&json)
        });
        written.map_err(|error| failure(&self.path, &error))
    }

    /// Leaves one line for each document.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(mut self) -> Result<(), Failure> {
        let path = self.path.clone();
        self.remove_repeats()
            .map_err(|error| failure(&path, &error))
    }

    fn open(path: &Path) -> io::Result<Self> {
        loop {
            let mut options = OpenOptions::new();
            let file = options.read(true).append(true).create(true).open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(io::Error::other("another run writes it"));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // A run that has just ended may have replaced it.
            if fs::metadata(path).is_ok_and(|there| is_same(&file, &there)) {
                return Ok(Journal {
                    file,
                    path: path.to_owned(),
                    has_repeats: false,
                    earlier: EarlierLines::new(),
                });
            }
        }
    }

    /// Reads the lines, and cuts the file after the last whole one.
    fn read(&mut self) -> io::Result<()> {
        let mut lines = Lines::of(&self.file)?;
        let mut length = 0;
        while let Some((number, line)) = lines.next()? {
            if !line.ends_with(b"\n") && EarlierLine::is_cut(line) {
                break;
            }
            length += line.len() as u64;
            let Some(earlier) = EarlierLine::read(line) else {
                return Err(io::Error::other(format!(
                    "line {number} is not of a run of this version: remove it, or name another file"
                )));
            };
            let before = self.earlier.insert(earlier.file.clone(), earlier);
            self.has_repeats |= before.is_some();
        }
        self.file.set_len(length)
    }

    /// Writes the last line of each document to a new file, which takes the place of this
    /// one at once.
    fn remove_repeats(&mut self) -> io::Result<()> {
        if !self.has_repeats {
            return Ok(());
        }
        let mut last = HashMap::new();
        let mut lines = Lines::of(&self.file)?;
        while let Some((number, line)) = lines.next()? {
            if let Some(line) = EarlierLine::read(line) {
                last.insert(line.file, number);
            }
        }
        let mut new_path = OsString::from(&self.path);
        new_path.push(".new");
        let new = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&new_path)?;
        // What a run that was killed has left.
        new.set_len(0)?;
        // Before it can be opened by its name.
        new.lock()?;
        new.set_permissions(self.file.metadata()?.permissions())?;
        let mut writer = BufWriter::new(&new);
        let mut lines = Lines::of(&self.file)?;
        while let Some((number, line)) = lines.next()? {
            let file = EarlierLine::read(line).map(|line| line.file);
            if file.and_then(|file| last.get(&file)) == Some(&number) {
                writer.write_all(line)?;
            }
        }
        writer.flush()?;
        drop(writer);
        new.sync_all()?;
        fs::rename(&new_path, &self.path)?;
        self.file = new;
        self.has_repeats = false;
        Ok(())
    }
}

/// The lines of a file, from its start.
struct Lines<'a> {
    reader: BufReader<&'a File>,
    line: Vec<u8>,
    /// The number of the last line, from 1.
    number: u64,
}

impl<'a> Lines<'a> {
    fn of(mut file: &'a File) -> io::Result<Self> {
        file.rewind()?;
        Ok(Lines {
            reader: BufReader::new(file),
            line: Vec::new(),
            number: 0,
        })
    }

    /// The next line with its number and its line break; `None` at the end.
    fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        self.line.clear();
        self.number += 1;
        let read = self.reader.read_until(b'\n', &mut self.line)?;
        Ok((read > 0).then_some((self.number, &self.line)))
    }
}

fn is_same(file: &File, there: &fs::Metadata) -> bool {
    file.metadata()
        .is_ok_and(|ours| (ours.dev(), ours.ino()) == (there.dev(), there.ino()))
}

fn failure(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{super::line::ResultStatus, *};

    fn line(file: &str, digest: &str) -> ResultLine {
        let mut line = ResultLine::new(file.to_owned(), "options".to_owned());
        line.status = ResultStatus::Ok;
        line.digest = Some(digest.to_owned());
        line
    }

    fn files(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        let file = |line: &str| EarlierLine::read(line.as_bytes()).unwrap().file;
        text.lines().map(file).collect()
    }

    #[test]
    fn what_was_paid_is_not_overwritten_and_what_was_cut_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let mut journal = Journal::create(&path).unwrap();
        assert!(Journal::create(&path).is_err(), "two runs at once");
        journal.append(&line("a", "1")).unwrap();
        journal.append(&line("b", "1")).unwrap();
        journal.end().unwrap();
        assert!(Journal::create(&path).is_err(), "has answers");

        let mut text = fs::read(&path).unwrap();
        text.truncate(text.len() - 9);
        fs::write(&path, &text).unwrap();
        let journal = Journal::resume(&path).unwrap();
        assert!(journal.earlier()["a"].answers("1", "options"));
        assert!(!journal.earlier()["a"].answers("2", "options"));
        assert!(!journal.earlier()["a"].answers("1", "others"));
        assert!(!journal.earlier().contains_key("b"));
        assert_eq!(files(&path), ["a"]);

        // What some file systems have at the end after a loss of power.
        drop(journal);
        let mut text = fs::read(&path).unwrap();
        text.extend([0; 100]);
        fs::write(&path, text).unwrap();
        Journal::resume(&path).unwrap();
        assert_eq!(files(&path), ["a"]);
    }

    #[test]
    fn a_document_has_one_line_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let mut journal = Journal::resume(&path).unwrap();
        journal.append(&line("a", "1")).unwrap();
        journal.append(&line("b", "1")).unwrap();
        drop(journal);
        // One run is killed, the other one ends.
        let mut killed = Journal::resume(&path).unwrap();
        killed.append(&line("a", "2")).unwrap();
        drop(killed);
        assert_eq!(files(&path), ["a", "b", "a"]);
        let mut journal = Journal::resume(&path).unwrap();
        assert_eq!(files(&path), ["b", "a"]);
        assert!(journal.earlier()["a"].answers("2", "options"));
        journal.append(&line("b", "2")).unwrap();
        journal.end().unwrap();
        assert_eq!(files(&path), ["a", "b"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_no_run_has_written_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        for text in ["notes\nof mine", "notes", "{}\n"] {
            fs::write(&path, text).unwrap();
            assert!(Journal::resume(&path).is_err(), "{text:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}

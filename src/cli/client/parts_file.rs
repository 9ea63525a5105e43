//! The parts of long documents that are done, in a file next to the output file: a run
//! that goes on does not pay for them again.

use super::kept_lines::KeptLines;
use data_encoding::BASE64;
use prost::Message;
use serde::{Deserialize, Serialize};
use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    rc::Rc,
};

/// The parts of all long documents of a run that are done.
#[derive(Debug)]
pub struct PartsFile {
    lines: KeptLines,
    /// What an earlier run has kept, by document.
    earlier: HashMap<PartsOf, Vec<Vec<u8>>>,
}

/// The parts of a document that are done.
#[derive(Debug, Default)]
pub struct KeptParts {
    parts: RefCell<Vec<Vec<u8>>>,
    /// The file that has them, and whose they are there.
    file: Option<(Rc<RefCell<PartsFile>>, PartsOf)>,
}

/// Whose parts they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PartsOf {
    /// SHA-256 of the document, in hexadecimal digits.
    pub digest: String,
    /// SHA-256 of the request without the document, in hexadecimal digits.
    pub options: String,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct PartLine {
    #[serde(flatten)]
    of: PartsOf,
    /// The message, in Base64.
    part: String,
}

// === impl PartsFile ===

impl PartsFile {
    /// The file of a run with this output file.
    pub fn path(output: &Path) -> PathBuf {
        KeptLines::path(output, ".parts")
    }

    /// Opens the file, and reads what an earlier run has kept. A last line that was cut
    /// goes.
    ///
    /// # Errors
    /// When it cannot be read or written, or has other lines.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let mut earlier = HashMap::<PartsOf, Vec<Vec<u8>>>::new();
        let lines = KeptLines::open(path, |line: PartLine| {
            let part = BASE64.decode(line.part.as_bytes());
            let part = part.map_err(io::Error::other)?;
            earlier.entry(line.of).or_default().push(part);
            Ok(())
        })?;
        Ok(PartsFile { lines, earlier })
    }

    /// Removes the file of a run that needs it no more.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        self.lines.remove()
    }

    fn append(&mut self, of: &PartsOf, part: &[u8]) -> io::Result<()> {
        let line = PartLine {
            of: of.clone(),
            part: BASE64.encode(part),
        };
        self.lines.append(&line)
    }
}

// === impl KeptParts ===

impl KeptParts {
    /// Those of a document, of an earlier run and of this one.
    pub fn of(file: &Rc<RefCell<PartsFile>>, of: PartsOf) -> Self {
        let earlier = file.borrow_mut().earlier.remove(&of);
        KeptParts {
            parts: RefCell::new(earlier.unwrap_or_default()),
            file: Some((Rc::clone(file), of)),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.parts.borrow().len()
    }

    /// All of them, without those that cannot be decoded: another version wrote them.
    pub fn all<P: Message + Default>(&self) -> Vec<P> {
        let parts = self.parts.borrow();
        let parts = parts.iter().filter_map(|part| P::decode(&part[..]).ok());
        parts.collect()
    }

    /// Adds a part, unless it is there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add<P: Message>(&self, part: &P) -> io::Result<()> {
        let part = part.encode_to_vec();
        let mut parts = self.parts.borrow_mut();
        if parts.contains(&part) {
            return Ok(());
        }
        if let Some((file, of)) = &self.file {
            file.borrow_mut().append(of, &part)?;
        }
        parts.push(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::SummarizedPart;
    use std::fs;

    fn part(number: i64) -> SummarizedPart {
        SummarizedPart {
            number,
            ..SummarizedPart::default()
        }
    }

    fn of(digest: &str) -> PartsOf {
        PartsOf {
            digest: digest.to_owned(),
            options: "o".to_owned(),
        }
    }

    #[test]
    fn what_was_done_is_there_after_a_kill_and_what_was_cut_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = PartsFile::path(&folder.path().join("out.jsonl"));
        let open = || Rc::new(RefCell::new(PartsFile::open(path.clone()).unwrap()));
        let file = open();
        let (one, two) = (KeptParts::of(&file, of("1")), KeptParts::of(&file, of("2")));
        one.add(&part(1)).unwrap();
        two.add(&part(7)).unwrap();
        one.add(&part(2)).unwrap();
        one.add(&part(1)).unwrap();
        drop((file, one, two));
        let text = fs::read(&path).unwrap();
        fs::write(&path, [&text[..], b"{\"digest\":\"2\""].concat()).unwrap();

        let file = open();
        assert_eq!(fs::read(&path).unwrap(), text);
        let again = KeptParts::of(&file, of("1"));
        assert_eq!(again.all::<SummarizedPart>(), [part(1), part(2)]);
        again.add(&part(3)).unwrap();
        let again = KeptParts::of(&open(), of("1"));
        assert_eq!(again.count(), 3);
        assert_eq!(KeptParts::of(&file, of("3")).count(), 0);
        file.borrow().remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn another_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.parts");
        fs::write(&path, "notes\nof mine\n").unwrap();
        assert!(PartsFile::open(path.clone()).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "notes\nof mine\n");
    }
}

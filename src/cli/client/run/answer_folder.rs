//! A folder with a file for each answer, at the path of its document.

use crate::cli::{
    client::{input::Source, inputs::Input},
    exit::Failure,
};
use std::{
    collections::HashMap,
    ffi::OsStr,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf, absolute},
};

/// The longest name of a file on Linux, in bytes.
const LONGEST_NAME: usize = 255;

/// What the name of a file ends with while it is written.
const NEW: &[u8] = b".new";

/// A folder with a file for each answer.
#[derive(Debug)]
pub struct AnswerFolder {
    folder: PathBuf,
    /// The file for the answer about each document, by its name.
    files: HashMap<String, PathBuf>,
}

// === impl AnswerFolder ===

impl AnswerFolder {
    /// The folder, with files that end like this for these documents. Nothing is written
    /// yet.
    ///
    /// # Errors
    /// When two documents would have the same file, or one the folder of another one's, or
    /// the name of a file would be too long.
    pub fn new(folder: &Path, extension: &str, inputs: &[Input]) -> Result<Self, Failure> {
        let mut files = HashMap::new();
        let mut documents = HashMap::new();
        for Input { source, .. } in inputs {
            let mut file = folder.join(below(source)).into_os_string();
            file.push(extension);
            let file = PathBuf::from(file);
            if file.file_name().unwrap_or_default().len() > LONGEST_NAME {
                return Err(Failure::usage(format!(
                    "--output-dir: {}: the name of its answer would be longer than \
                     {LONGEST_NAME} bytes",
                    source.name()
                )));
            }
            if let Some(other) = documents.insert(file.clone(), source) {
                return Err(Failure::usage(format!(
                    "--output-dir: {} and {} would both be answered in {}",
                    other.name(),
                    source.name(),
                    file.display()
                )));
            }
            files.insert(source.name(), file);
        }
        for (file, source) in &documents {
            let above = file.ancestors().skip(1);
            if let Some(other) = above.filter_map(|folder| documents.get(folder)).next() {
                return Err(Failure::usage(format!(
                    "--output-dir: the answer about {} would be in the place of the folder of \
                     that about {}",
                    other.name(),
                    source.name()
                )));
            }
        }
        Ok(AnswerFolder {
            folder: folder.to_owned(),
            files,
        })
    }

    /// Creates the folder, before an answer is paid that it cannot keep.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(&self) -> Result<(), Failure> {
        fs::create_dir_all(&self.folder).map_err(|error| {
            let folder = self.folder.display();
            Failure::usage(format!("--output-dir: failed to create {folder}: {error}"))
        })
    }

    /// Whether the answer about a document is not there.
    pub fn lacks(&self, document: &str) -> bool {
        let file = self.files.get(document);
        file.is_some_and(|file| !file.exists())
    }

    /// Writes the answer about a document. A reader finds the whole answer, an earlier one,
    /// or none.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, document: &str, answer: &str) -> Result<(), Failure> {
        let Some(file) = self.files.get(document) else {
            return Ok(());
        };
        let failure = |error: io::Error| {
            Failure::usage(format!("{}: failed to write: {error}", file.display()))
        };
        write_at_once(file, answer).map_err(failure)
    }
}

fn write_at_once(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let name = file.file_name().unwrap_or_default().as_bytes();
    let kept = name.len().min(LONGEST_NAME - NEW.len());
    let new = file.with_file_name(OsStr::from_bytes(&[&name[..kept], NEW].concat()));
    fs::write(&new, text)?;
    fs::rename(&new, file)
}

/// The path of a document below the folder. It never leads out of it: a path that begins
/// elsewhere is taken from the root.
fn below(source: &Source) -> PathBuf {
    let path = match source {
        Source::Stdin => return PathBuf::from("stdin"),
        Source::File(path) => path,
    };
    let is_below = path
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let whole = if is_below {
        path.clone()
    } else {
        absolute(path).unwrap_or_else(|_| path.clone())
    };
    let mut below = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::Normal(part) => below.push(part),
            Component::ParentDir => {
                below.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(paths: &[&str]) -> Vec<Input> {
        let input = |path: &&str| Input::from(Source::from(PathBuf::from(path)));
        paths.iter().map(input).collect()
    }

    #[test]
    fn no_answer_leaves_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["a/./b.md", "/etc/motd", "/x/../../y", "../z", "-"];
        let answers = AnswerFolder::new(folder.path(), ".txt", &inputs(&names)).unwrap();
        for name in names {
            answers.write(name, "answer").unwrap();
            assert!(answers.files[name].starts_with(folder.path()));
            let file = fs::canonicalize(&answers.files[name]).unwrap();
            assert!(file.starts_with(fs::canonicalize(folder.path()).unwrap()));
        }
        for file in ["a/b.md.txt", "etc/motd.txt", "y.txt", "stdin.txt"] {
            let text = fs::read_to_string(folder.path().join(file)).unwrap();
            assert_eq!(text, "answer", "{file}");
        }
    }

    #[test]
    fn two_answers_do_not_share_a_file() {
        let same = inputs(&["/etc/motd", "etc/motd"]);
        let failure = AnswerFolder::new(Path::new("out"), ".txt", &same).unwrap_err();
        let Failure::Explained { reasons, .. } = failure else {
            panic!("{failure:?}");
        };
        assert!(reasons[0].contains("out/etc/motd.txt"), "{reasons:?}");
    }

    /// Each would end the run when answers are paid, also when it is resumed.
    #[test]
    fn a_file_that_cannot_be_written_is_refused_beforehand() {
        let folder = tempfile::tempdir().unwrap();
        let longest = "x".repeat(LONGEST_NAME - ".txt".len());
        let answers = AnswerFolder::new(folder.path(), ".txt", &inputs(&[&longest])).unwrap();
        answers.write(&longest, "answer").unwrap();
        let too_long = longest + "x";
        for names in [&[&*too_long][..], &["a", "a.txt/b"]] {
            let refused = AnswerFolder::new(folder.path(), ".txt", &inputs(names));
            assert!(refused.is_err(), "{names:?}");
        }
        fs::write(folder.path().join("file"), "").unwrap();
        let below = folder.path().join("file/folder");
        let answers = AnswerFolder::new(&below, ".txt", &inputs(&["a"])).unwrap();
        assert!(answers.create().is_err());
    }
}

//! The documents of a command: files, folders, globs and lists of files.

use super::{
    glob::Glob,
    input::{Source, is_stdin},
    written::WrittenFiles,
};
use crate::cli::exit::Failure;
use ignore::{DirEntry, WalkBuilder};
use std::{
    collections::HashSet,
    error::Error,
    ffi::OsString,
    fs,
    os::unix::{ffi::OsStringExt, fs::FileTypeExt},
    path::{Path, PathBuf, absolute},
    sync::Arc,
};

/// The byte order mark, which some editors put in front of a list.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Which documents a command reads.
#[derive(Debug, Clone, clap::Args)]
pub struct InputFlags {
    /// Files, folders with all files below them, or globs such as `docs/**/*.md`; `-` or
    /// none for standard input.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// File with more paths, one per line, or separated by NUL; `-` for standard input. They
    /// are not globs.
    #[arg(long, value_name = "FILE")]
    files_from: Option<PathBuf>,
    /// Skip what `.gitignore` and `.ignore` files name, in folders and globs.
    #[arg(long)]
    respect_ignore_files: bool,
    /// Read hidden files and folders too, in folders and globs.
    #[arg(long)]
    hidden: bool,
    /// Read links to files elsewhere too: out of a folder or a glob, or in a list, out of
    /// the current folder. Where others may write, a link can name any file of this machine.
    #[arg(long)]
    follow_links: bool,
}

/// A document of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Where it is read from.
    pub source: Source,
    /// Why it cannot be read, if that is known already.
    pub problem: Option<String>,
}

// === impl InputFlags ===

impl InputFlags {
    /// All documents, in the order of the command line; those of a folder or a glob in the
    /// order of their paths. A path that is named twice is one document. What the command
    /// itself writes is none.
    ///
    /// # Errors
    /// When a list or a glob cannot be read, a folder or a glob has no files, standard
    /// input is named twice, or only what the command writes is named.
    pub fn all(&self, written: WrittenFiles) -> Result<Vec<Input>, Failure> {
        let list = self.files_from.as_deref().map(listed).transpose()?;
        let mut paths = self.paths.clone();
        if list.is_none() && paths.is_empty() {
            paths.push(PathBuf::from("-"));
        }
        let list = list.unwrap_or_default();
        let from_stdin = paths.iter().chain(&list).chain(&self.files_from);
        if from_stdin.filter(|path| is_stdin(path)).count() > 1 {
            return Err(Failure::usage(
                "standard input (-) must not be given more than once",
            ));
        }
        let mut found = Found {
            written: Arc::new(written),
            ..Found::default()
        };
        for path in paths {
            // A name with wildcards is a name if there is such a file.
            let glob = Glob::of(&path).filter(|_| !path.exists());
            match glob.transpose()? {
                Some(glob) => self.add_matches(&path, &glob, &mut found)?,
                None => self.add(path, &mut found)?,
            }
        }
        for path in list {
            match self.is_left_out(&path, Path::new(".")) {
                true => found.push_link(path),
                false => self.add(path, &mut found)?,
            }
        }
        if found.inputs.is_empty() && found.has_written {
            return Err(Failure::usage(
                "the documents must not be what the command writes",
            ));
        }
        Ok(found.inputs)
    }

    /// Whether a path that nobody has named is a link that must not be followed.
    fn is_left_out(&self, path: &Path, folder: &Path) -> bool {
        !self.follow_links && leads_out(path, folder)
    }

    fn add(&self, path: PathBuf, found: &mut Found) -> Result<(), Failure> {
        if is_stdin(&path) {
            found.inputs.push(Input::from(Source::Stdin));
        } else if !path.is_dir() {
            found.push(path);
        } else if !self.walk(&path, None, found) {
            return Err(failure(&path, "has no files"));
        }
        Ok(())
    }

    fn add_matches(&self, path: &Path, glob: &Glob, found: &mut Found) -> Result<(), Failure> {
        let folder = glob.folder();
        if folder.is_dir() && self.walk(folder, Some(glob), found) {
            return Ok(());
        }
        Err(failure(path, "matches no file"))
    }

    /// Adds the files below a folder that match, and says whether there are any.
    fn walk(&self, folder: &Path, glob: Option<&Glob>, found: &mut Found) -> bool {
        let written = Arc::clone(&found.written);
        let is_read = move |entry: &DirEntry| entry.depth() == 0 || !written.have(entry.path());
        let mut walk = WalkBuilder::new(folder);
        walk.standard_filters(self.respect_ignore_files)
            .hidden(!self.hidden)
            .require_git(false)
            .max_depth(glob.and_then(Glob::depth))
            .filter_entry(is_read)
            .sort_by_file_path(Path::cmp);
        let mut any = false;
        for entry in walk.build() {
            match entry {
                Ok(entry) => {
                    let path = named(entry.path());
                    if !is_document(&entry) || glob.is_some_and(|glob| !glob.matches(path)) {
                        continue;
                    }
                    any = true;
                    match self.is_left_out(entry.path(), folder) {
                        true => found.push_link(path.to_owned()),
                        false => found.push(path.to_owned()),
                    }
                }
                Err(error) => {
                    any = true;
                    found.push_unread(folder, &error);
                }
            }
        }
        any
    }
}

/// Whether a path is a link to something that is not below a folder.
fn leads_out(path: &Path, folder: &Path) -> bool {
    let is_elsewhere =
        |target: PathBuf| fs::canonicalize(folder).is_ok_and(|folder| !target.starts_with(folder));
    path.is_symlink() && fs::canonicalize(path).is_ok_and(is_elsewhere)
}

/// The name of what a folder has: without the folder if that is the current one.
fn named(path: &Path) -> &Path {
    path.strip_prefix("./").unwrap_or(path)
}

/// Whether an entry of a folder is a file, or a link to one. Others, such as sockets, are
/// no documents; links to folders could lead back.
fn is_document(entry: &DirEntry) -> bool {
    match entry.file_type() {
        // A link that leads nowhere is a document that cannot be read.
        Some(kind) if kind.is_symlink() => {
            fs::metadata(entry.path()).map_or(true, |metadata| metadata.is_file())
        }
        Some(kind) => kind.is_file(),
        None => false,
    }
}

impl From<Source> for Input {
    fn from(source: Source) -> Self {
        Input {
            source,
            problem: None,
        }
    }
}

/// The documents so far.
#[derive(Default)]
struct Found {
    inputs: Vec<Input>,
    /// Their paths, however they are spelled.
    paths: HashSet<PathBuf>,
    written: Arc<WrittenFiles>,
    /// Whether anything is named that the command writes.
    has_written: bool,
}

impl Found {
    fn push(&mut self, path: PathBuf) {
        if self.written.have(&path) {
            self.has_written = true;
            return;
        }
        // A pipe is read as standard input is. Reading a device could wait for ever.
        let problem = match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() || metadata.file_type().is_fifo() => None,
            Ok(_) => Some("must be a file or a folder".to_owned()),
            Err(error) => Some(format!("failed to read: {error}")),
        };
        self.push_with(path, problem);
    }

    /// Adds a link that leads out of the folder.
    fn push_link(&mut self, path: PathBuf) {
        let problem = "is a link out of the folder, which --follow-links would read";
        self.push_with(path, Some(problem.to_owned()));
    }

    /// Adds what could not be read of a folder.
    fn push_unread(&mut self, folder: &Path, error: &ignore::Error) {
        let path = named(path_of(error).unwrap_or(folder)).to_owned();
        let why = match error.io_error() {
            // The one of the system, without what the walk has put around it.
            Some(error) => error
                .source()
                .map_or_else(|| error.to_string(), ToString::to_string),
            None => error.to_string(),
        };
        self.push_with(path, Some(format!("failed to read: {why}")));
    }

    fn push_with(&mut self, path: PathBuf, problem: Option<String>) {
        let spelled = absolute(&path).unwrap_or_else(|_| path.clone());
        if self.paths.insert(spelled) {
            self.inputs.push(Input {
                source: Source::File(path),
                problem,
            });
        }
    }
}

/// The path that an error of a walk is about.
fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            path_of(err)
        }
        _ => None,
    }
}

fn failure(path: &Path, why: &str) -> Failure {
    Failure::usage(format!("{}: {why}", path.display()))
}

/// The paths in a list, which need not be UTF-8.
fn listed(list: &Path) -> Result<Vec<PathBuf>, Failure> {
    let source = Source::from(list.to_owned());
    let bytes = source.read().map_err(|failure| source.failure(failure))?;
    let bytes = bytes.strip_prefix(MARK).unwrap_or(&bytes);
    let has_nuls = bytes.contains(&0);
    let path = |line: &[u8]| {
        let line = match line.strip_suffix(b"\r") {
            Some(line) if !has_nuls => line,
            _ => line,
        };
        PathBuf::from(OsString::from_vec(line.to_owned()))
    };
    let paths = bytes.split(|byte| *byte == if has_nuls { 0 } else { b'\n' });
    Ok(paths
        .map(path)
        .filter(|path| !path.as_os_str().is_empty())
        .collect())
}

#[cfg(test)]
#[path = "inputs_tests.rs"]
mod tests;

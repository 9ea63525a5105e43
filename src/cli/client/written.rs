//! What a command writes, which is none of its documents, however it is named: an output
//! file that is read would be paid for, and be another document with each answer.

use std::{
    collections::HashSet,
    fs::{self, File, Metadata},
    io::{self, stderr, stdout},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

/// The files and folders that a command writes, as far as they are there: what is not there
/// yet cannot be read.
#[derive(Debug, Default)]
pub struct WrittenFiles {
    /// Their devices and numbers.
    ids: HashSet<(u64, u64)>,
}

// === impl WrittenFiles ===

impl WrittenFiles {
    /// Those at these paths.
    pub fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let there = paths.into_iter().filter_map(|path| fs::metadata(path).ok());
        WrittenFiles {
            ids: there.map(|metadata| id(&metadata)).collect(),
        }
    }

    /// These, and the files that standard output and standard error go to.
    pub fn and_standard_streams(mut self) -> Self {
        let streams = [metadata_of(stdout().as_fd()), metadata_of(stderr().as_fd())];
        let files = streams.into_iter().flatten().filter(Metadata::is_file);
        self.ids.extend(files.map(|metadata| id(&metadata)));
        self
    }

    /// Whether this path is one of them.
    pub fn have(&self, path: &Path) -> bool {
        !self.ids.is_empty()
            && fs::metadata(path).is_ok_and(|metadata| self.ids.contains(&id(&metadata)))
    }
}

fn id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn metadata_of(stream: BorrowedFd<'_>) -> io::Result<Metadata> {
    File::from(stream.try_clone_to_owned()?).metadata()
}

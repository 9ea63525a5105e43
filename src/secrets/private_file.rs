//! Files that only their owner may read.

use super::SecretError;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

const ROOT: u32 = 0;

/// Rejects a file that users other than its owner can read or write. A file
/// owned by root may be readable by its group: Kubernetes mounts secrets like
/// this for a process that is not root and cannot own them. Of a symbolic link,
/// the file that it leads to counts.
///
/// # Errors
/// [`SecretError::Permissions`], or when the file does not exist.
pub fn ensure_private(path: &Path) -> Result<(), SecretError> {
    let metadata = fs::metadata(path).map_err(SecretError::read(path))?;
    check(path, &metadata)
}

/// The content of a file that contains a secret, wiped when dropped.
///
/// # Errors
/// When the file cannot be read, or is not private ([`ensure_private`]).
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let mut file = File::open(path).map_err(SecretError::read(path))?;
    let metadata = file.metadata().map_err(SecretError::read(path))?;
    check(path, &metadata)?;
    // With room for all of it: what a growing buffer leaves behind is not wiped.
    let size = usize::try_from(metadata.len()).unwrap_or_default();
    let mut content = Zeroizing::new(Vec::with_capacity(size + 1));
    file.read_to_end(&mut content)
        .map_err(SecretError::read(path))?;
    Ok(content)
}

fn check(path: &Path, metadata: &fs::Metadata) -> Result<(), SecretError> {
    let mode = mode(metadata);
    if is_open(mode, owner(metadata)) {
        return Err(SecretError::Permissions {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

fn is_open(mode: u32, owner: u32) -> bool {
    let others = if owner == ROOT { 0o037 } else { 0o077 };
    mode & others != 0
}

/// Writes a file that only its owner may read, atomically: a reader sees the
/// old or the new version, also after a crash.
///
/// # Errors
/// When the directory cannot be written to.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), SecretError> {
    replace(path, content).map_err(SecretError::write(path))
}

/// Creates such a file; an existing one stays unchanged.
///
/// # Errors
/// When it exists, or cannot be written.
pub fn create_private(path: &Path, content: &[u8]) -> Result<(), SecretError> {
    let written = create_new(path).and_then(|mut file| fill(&mut file, content));
    written.map_err(SecretError::write(path))
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    // Next to the target, since a rename works only within a file system. A
    // symbolic link is kept: its target is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let temporary = temporary_beside(&target);
    let written = create_new(&temporary)
        .and_then(|mut file| fill(&mut file, content))
        .and_then(|()| fs::rename(&temporary, &target));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
        return written;
    }
    // The rename itself must survive a crash.
    File::open(directory(&target))?.sync_all()
}

fn fill(file: &mut File, content: &[u8]) -> io::Result<()> {
    file.write_all(content)?;
    file.sync_all()
}

fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}.new", rand::random::<u64>()));
    path.with_file_name(name)
}

/// The directory that contains a path.
pub fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(unix)]
fn create_new(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(unix)]
fn mode(metadata: &fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o777
}

#[cfg(unix)]
fn owner(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::uid(metadata)
}

#[cfg(not(unix))]
fn owner(_metadata: &fs::Metadata) -> u32 {
    ROOT
}

/// Without permission bits, the file system's own rules apply.
#[cfg(not(unix))]
fn mode(_metadata: &fs::Metadata) -> u32 {
    0
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_written_is_private_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write_private(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        ensure_private(&path).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn looser_permissions_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        create_private(&path, b"x").unwrap();
        for mode in [0o604, 0o660, 0o620, 0o602, 0o644] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            for refused in [ensure_private(&path), read_private(&path).map(drop)] {
                assert!(
                    matches!(refused, Err(SecretError::Permissions { .. })),
                    "{mode:o}"
                );
            }
        }
        for mode in [0o600, 0o400] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            ensure_private(&path).unwrap();
            assert_eq!(*read_private(&path).unwrap(), b"x");
        }
    }

    #[test]
    fn the_group_may_read_what_belongs_to_root() {
        for mode in [0o440, 0o640] {
            assert!(!is_open(mode, ROOT), "{mode:o}");
            assert!(is_open(mode, 1000), "{mode:o}");
        }
        assert!(is_open(0o460, ROOT));
        assert!(is_open(0o444, ROOT));
    }

    #[test]
    fn an_existing_file_is_not_overwritten_by_create() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        create_private(&path, b"first").unwrap();
        create_private(&path, b"second").unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"first");
    }
}

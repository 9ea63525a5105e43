//! The files that are kept.

use super::{
    config::SimulatorFilesConfig,
    file::{FileRefusal, StoredFile},
};
use parking_lot::Mutex;
use std::time::SystemTime;

/// The files of all keys.
#[derive(Debug)]
pub(in crate::simulator) struct FileStore {
    config: SimulatorFilesConfig,
    /// Those that exist from the start, for all keys, and cannot be deleted.
    pub(super) fixed: Vec<StoredFile>,
    /// Oldest first.
    kept: Mutex<Vec<StoredFile>>,
}

impl FileStore {
    pub(in crate::simulator) fn new(config: SimulatorFilesConfig) -> Self {
        FileStore {
            config,
            fixed: Vec::new(),
            kept: Mutex::default(),
        }
    }

    /// Keeps a new file.
    ///
    /// # Errors
    /// When there is not enough room.
    pub(super) fn keep(&self, file: StoredFile, now: SystemTime) -> Result<(), FileRefusal> {
        let mut kept = self.kept.lock();
        kept.iter_mut().for_each(|file| file.expire(now));
        let contents = kept.iter().filter_map(|file| file.content.as_ref());
        let bytes: usize = contents.map(|content| content.len()).sum();
        let fits = bytes + file.size <= self.config.max_bytes;
        if !fits || kept.len() >= self.config.max_files {
            return Err(FileRefusal::QuotaExceeded);
        }
        kept.push(file);
        Ok(())
    }

    /// The files of a key, newest first.
    pub(super) fn list(&self, key: &str, now: SystemTime) -> Vec<StoredFile> {
        let mut kept = self.kept.lock();
        kept.iter_mut().for_each(|file| file.expire(now));
        let own = kept.iter().rev().filter(|file| file.key == key);
        own.chain(self.fixed.iter().rev()).cloned().collect()
    }

    /// A file of a key.
    ///
    /// # Errors
    /// When the key has no file of this id.
    pub(super) fn find(
        &self,
        key: &str,
        id: &str,
        now: SystemTime,
    ) -> Result<StoredFile, FileRefusal> {
        if let Some(file) = self.fixed(id) {
            return Ok(file.clone());
        }
        let mut kept = self.kept.lock();
        let position = position(&kept, key, id)?;
        kept[position].expire(now);
        Ok(kept[position].clone())
    }

    /// Forgets a file.
    ///
    /// # Errors
    /// When the key has no file of this id.
    pub(super) fn delete(&self, key: &str, id: &str) -> Result<(), FileRefusal> {
        if self.fixed(id).is_some() {
            return Ok(());
        }
        let mut kept = self.kept.lock();
        let position = position(&kept, key, id)?;
        kept.remove(position);
        Ok(())
    }

    fn fixed(&self, id: &str) -> Option<&StoredFile> {
        self.fixed.iter().find(|file| file.id == id)
    }
}

fn position(kept: &[StoredFile], key: &str, id: &str) -> Result<usize, FileRefusal> {
    let mut files = kept.iter();
    let found = files.position(|file| file.id == id && file.key == key);
    found.ok_or(FileRefusal::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::time::Duration;

    #[test]
    fn the_content_of_a_file_goes_when_it_expires() {
        let store = FileStore::new(SimulatorFilesConfig {
            max_bytes: 8,
            ..SimulatorFilesConfig::default()
        });
        let now = SystemTime::UNIX_EPOCH;
        let expires_at = now + Duration::from_secs(3600);
        let file = |id: &str| StoredFile {
            id: id.to_owned(),
            key: "key".to_owned(),
            filename: "a.txt".to_owned(),
            mime_type: "text/plain".to_owned(),
            created_at: now,
            expires_at: Some(expires_at),
            size: 5,
            content: Some(Bytes::from_static(b"bytes")),
            downloadable: true,
        };
        store.keep(file("one"), now).unwrap();
        let downloaded = |now| store.find("key", "one", now).unwrap().downloaded();
        assert_eq!(downloaded(now), Ok(Bytes::from_static(b"bytes")));
        let refused = store.keep(file("two"), now);
        assert_eq!(refused, Err(FileRefusal::QuotaExceeded));

        store.keep(file("two"), expires_at).unwrap();
        assert_eq!(downloaded(expires_at), Err(FileRefusal::Expired));
        let described = store.list("key", expires_at);
        assert_eq!(described.last().unwrap().size, 5);
    }
}

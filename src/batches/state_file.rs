//! The file with the state of batches. Every value in it is encrypted: a Fernet token.

use super::record::{BatchItems, BatchRecord};
use crate::secrets::{Keyring, NotDecrypted};
use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Serialize, de::DeserializeOwned};
use std::{path::Path, sync::Arc};
use thiserror::Error;
use tokio::task::spawn_blocking;

/// Id of a batch → its record.
const BATCHES: TableDefinition<'_, &str, &str> = TableDefinition::new("batches");

/// Id of a batch → its items.
const ITEMS: TableDefinition<'_, &str, &str> = TableDefinition::new("items");

/// Id of a batch → the body that submits it, until the API has accepted it.
const BODIES: TableDefinition<'_, &str, &str> = TableDefinition::new("bodies");

/// Memory for pages of the file, in bytes.
const CACHE: usize = 8 * 1024 * 1024;

/// The state cannot be read or written.
#[derive(Debug, Error)]
pub enum StateFileError {
    /// The file cannot be read or written.
    #[error("failed to access the state of batches: {0}")]
    File(Box<redb::Error>),
    /// No key decrypts a value.
    #[error("failed to decrypt the state of batches: {0}")]
    Key(#[from] NotDecrypted),
    /// A value is not what was written.
    #[error("the state of batches has a value that is not valid")]
    Invalid,
}

impl<E: Into<redb::Error>> From<E> for StateFileError {
    fn from(error: E) -> Self {
        StateFileError::File(Box::new(error.into()))
    }
}

/// The open file. Cloning is cheap. What is written survives a crash.
#[derive(Clone)]
pub struct StateFile(Arc<Inner>);

struct Inner {
    database: Database,
    keys: Keyring,
}

// === impl StateFile ===

impl StateFile {
    /// Opens or creates the file; returns its batches as well.
    ///
    /// # Errors
    /// When it is not such a file, is locked by another process, cannot be written,
    /// or no key decrypts it.
    pub fn open(path: &Path, keys: Keyring) -> Result<(Self, Vec<BatchRecord>), StateFileError> {
        let database = Database::builder().set_cache_size(CACHE).create(path)?;
        let write = database.begin_write()?;
        // So that each can be read.
        write.open_table(BATCHES)?;
        write.open_table(ITEMS)?;
        write.open_table(BODIES)?;
        write.commit()?;
        let file = Inner { database, keys };
        let mut records = Vec::new();
        {
            let read = file.database.begin_read()?;
            for entry in read.open_table(BATCHES)?.iter()? {
                records.push(file.decrypted(entry?.1.value())?);
            }
        }
        Ok((StateFile(Arc::new(file)), records))
    }

    /// Adds a batch, with its items and the body that submits it.
    pub async fn add(
        &self,
        record: &BatchRecord,
        items: BatchItems,
        body: Bytes,
    ) -> Result<(), StateFileError> {
        let record = record.clone();
        self.with(move |file| {
            let write = file.database.begin_write()?;
            let id = record.id.as_str();
            write
                .open_table(BATCHES)?
                .insert(id, &*file.encrypted(&record)?)?;
            write
                .open_table(ITEMS)?
                .insert(id, &*file.encrypted(&items)?)?;
            write
                .open_table(BODIES)?
                .insert(id, &*file.keys.encrypt(&body))?;
            Ok(write.commit()?)
        })
        .await
    }

    /// Replaces the record of a batch. Once it is known at the API, the body that
    /// submits it is deleted.
    pub async fn update(&self, record: &BatchRecord) -> Result<(), StateFileError> {
        let record = record.clone();
        self.with(move |file| {
            let write = file.database.begin_write()?;
            let id = record.id.as_str();
            {
                let mut batches = write.open_table(BATCHES)?;
                // It has been deleted in the meantime.
                if batches.get(id)?.is_none() {
                    return Err(StateFileError::Invalid);
                }
                batches.insert(id, &*file.encrypted(&record)?)?;
            }
            if record.upstream_id.is_some() || record.is_final() {
                write.open_table(BODIES)?.remove(id)?;
            }
            Ok(write.commit()?)
        })
        .await
    }

    /// The items of a batch.
    pub async fn items(&self, id: &str) -> Result<BatchItems, StateFileError> {
        let id = id.to_owned();
        self.with(move |file| {
            let read = file.database.begin_read()?;
            let items = read.open_table(ITEMS)?;
            let items = items.get(id.as_str())?.ok_or(StateFileError::Invalid)?;
            let items: BatchItems = file.decrypted(items.value())?;
            Some(items)
                .filter(|it| it.batch == id)
                .ok_or(StateFileError::Invalid)
        })
        .await
    }

    /// The body that submits a batch.
    pub async fn body(&self, id: &str) -> Result<Bytes, StateFileError> {
        let id = id.to_owned();
        self.with(move |file| {
            let read = file.database.begin_read()?;
            let body = read.open_table(BODIES)?;
            let body = body.get(id.as_str())?.ok_or(StateFileError::Invalid)?;
            Ok(Bytes::copy_from_slice(&file.keys.decrypt(body.value())?))
        })
        .await
    }

    /// Deletes all of a batch.
    pub async fn delete(&self, id: &str) -> Result<(), StateFileError> {
        let id = id.to_owned();
        self.with(move |file| {
            let write = file.database.begin_write()?;
            for table in [BATCHES, ITEMS, BODIES] {
                write.open_table(table)?.remove(id.as_str())?;
            }
            Ok(write.commit()?)
        })
        .await
    }

    /// Does work that waits for the disk.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StateFileError> + Send + 'static,
    ) -> Result<T, StateFileError> {
        let file = Arc::clone(&self.0);
        let done = spawn_blocking(move || work(&file)).await;
        // It panicked, or the process ends.
        done.unwrap_or(Err(StateFileError::Invalid))
    }
}

impl Inner {
    fn encrypted(&self, value: &impl Serialize) -> Result<String, StateFileError> {
        let json = serde_json::to_vec(value).map_err(|_| StateFileError::Invalid)?;
        Ok(self.keys.encrypt(&json))
    }

    fn decrypted<T: DeserializeOwned>(&self, token: &str) -> Result<T, StateFileError> {
        let json = self.keys.decrypt(token)?;
        serde_json::from_slice(&json).map_err(|_| StateFileError::Invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batches::record::{BatchItem, ItemKind, Phase};
    use std::fs;

    fn keys(path: &Path) -> Keyring {
        if !path.exists() {
            Keyring::create(path).unwrap();
        }
        Keyring::read(path).unwrap()
    }

    fn items(batch: &str) -> BatchItems {
        BatchItems {
            batch: batch.to_owned(),
            items: vec![BatchItem {
                id: "secret item".to_owned(),
                model: "m".to_owned(),
                kind: ItemKind::Generate,
            }],
            label_sets: Vec::new(),
        }
    }

    #[tokio::test]
    async fn what_is_written_is_read_again_and_nothing_of_it_is_plain() {
        let dir = tempfile::tempdir().unwrap();
        let (path, key) = (dir.path().join("state"), dir.path().join("key"));
        let mut record = BatchRecord::new("batch_1", "tenant of batches", 1, 0);
        {
            let (file, kept) = StateFile::open(&path, keys(&key)).unwrap();
            assert!(kept.is_empty());
            let body = Bytes::from_static(b"secret body");
            file.add(&record, items("batch_1"), body.clone())
                .await
                .unwrap();
            assert_eq!(file.body("batch_1").await.unwrap(), body);
        }
        let (file, kept) = StateFile::open(&path, keys(&key)).unwrap();
        assert_eq!(kept, [record.clone()]);
        assert_eq!(file.items("batch_1").await.unwrap(), items("batch_1"));
        record.phase = Phase::InProgress;
        record.upstream_id = Some("msgbatch_1".to_owned());
        file.update(&record).await.unwrap();
        assert!(
            file.body("batch_1").await.is_err(),
            "its body is not needed any more"
        );
        drop(file);
        let bytes = fs::read(&path).unwrap();
        for plain in [
            "tenant of batches",
            "secret item",
            "secret body",
            "msgbatch_1",
        ] {
            let found = bytes.windows(plain.len()).any(|it| it == plain.as_bytes());
            assert!(!found, "{plain}");
        }

        let (file, kept) = StateFile::open(&path, keys(&key)).unwrap();
        assert_eq!(kept, [record]);
        file.delete("batch_1").await.unwrap();
        drop(file);
        let (_, kept) = StateFile::open(&path, keys(&key)).unwrap();
        assert!(kept.is_empty());
    }

    #[tokio::test]
    async fn another_key_opens_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let (file, _) = StateFile::open(&path, keys(&dir.path().join("key"))).unwrap();
        let record = BatchRecord::new("batch_1", "t", 1, 0);
        file.add(&record, items("batch_1"), Bytes::new())
            .await
            .unwrap();
        drop(file);
        let other = StateFile::open(&path, keys(&dir.path().join("other")));
        assert!(matches!(other, Err(StateFileError::Key(_))));
    }
}

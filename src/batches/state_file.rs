//! The file with the state of batches. Every value in it is encrypted: a Fernet token.

use super::record::{BatchItems, BatchRecord};
use crate::{
    sealed_file::{SealedFile, SealedTable, StateFileError},
    secrets::Keyring,
};
use bytes::Bytes;
use redb::{ReadableDatabase, ReadableTable};
use std::path::Path;

/// Id of a batch → its record.
const BATCHES: SealedTable = SealedTable::new("batches");

/// Id of a batch → its items.
const ITEMS: SealedTable = SealedTable::new("items");

/// Id of a batch → the body that submits it, until the API has accepted it.
const BODIES: SealedTable = SealedTable::new("bodies");

/// The open file. Cloning is cheap. What is written survives a crash.
#[derive(Clone)]
pub struct StateFile(SealedFile);

// === impl StateFile ===

impl StateFile {
    /// Opens or creates the file; returns its batches as well.
    ///
    /// # Errors
    /// When it is not such a file, is locked by another process, cannot be written,
    /// or no key decrypts it.
    pub fn open(path: &Path, keys: Keyring) -> Result<(Self, Vec<BatchRecord>), StateFileError> {
        let file = SealedFile::open(path, keys, &[BATCHES, ITEMS, BODIES])?;
        let mut records = Vec::new();
        let kept = file.at_start();
        let read = kept.database.begin_read()?;
        for entry in read.open_table(BATCHES)?.iter()? {
            records.push(kept.keys.open(entry?.1.value())?);
        }
        drop(read);
        Ok((StateFile(file), records))
    }

    /// Adds a batch, with its items and the body that submits it.
    pub async fn add(
        &self,
        record: &BatchRecord,
        items: BatchItems,
        body: Bytes,
    ) -> Result<(), StateFileError> {
        let record = record.clone();
        self.0
            .with(move |file| {
                let write = file.database.begin_write()?;
                let id = record.id.as_str();
                write
                    .open_table(BATCHES)?
                    .insert(id, &*file.keys.seal(&record)?)?;
                write
                    .open_table(ITEMS)?
                    .insert(id, &*file.keys.seal(&items)?)?;
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
        self.0
            .with(move |file| {
                let write = file.database.begin_write()?;
                let id = record.id.as_str();
                {
                    let mut batches = write.open_table(BATCHES)?;
                    // It has been deleted in the meantime.
                    if batches.get(id)?.is_none() {
                        return Err(StateFileError::Invalid);
                    }
                    batches.insert(id, &*file.keys.seal(&record)?)?;
                }
                if !record.needs_body() {
                    write.open_table(BODIES)?.remove(id)?;
                }
                Ok(write.commit()?)
            })
            .await
    }

    /// The items of a batch.
    pub async fn items(&self, id: &str) -> Result<BatchItems, StateFileError> {
        let id = id.to_owned();
        self.0
            .with(move |file| {
                let read = file.database.begin_read()?;
                let items = read.open_table(ITEMS)?;
                let items = items.get(id.as_str())?.ok_or(StateFileError::Invalid)?;
                let items: BatchItems = file.keys.open(items.value())?;
                Some(items)
                    .filter(|it| it.batch == id)
                    .ok_or(StateFileError::Invalid)
            })
            .await
    }

    /// The body that submits a batch.
    pub async fn body(&self, id: &str) -> Result<Bytes, StateFileError> {
        let id = id.to_owned();
        self.0
            .with(move |file| {
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
        self.0
            .with(move |file| {
                let write = file.database.begin_write()?;
                for table in [BATCHES, ITEMS, BODIES] {
                    write.open_table(table)?.remove(id.as_str())?;
                }
                Ok(write.commit()?)
            })
            .await
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

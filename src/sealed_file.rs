//! A file for what outlives the process: every value in it is encrypted, a Fernet token,
//! and what is written survives a crash.

use crate::secrets::{Keyring, NotDecrypted, SealError};
use redb::{Database, TableDefinition};
use std::{path::Path, sync::Arc};
use thiserror::Error;
use tokio::task::spawn_blocking;

/// Id → encrypted value.
pub type SealedTable = TableDefinition<'static, &'static str, &'static str>;

/// Memory for pages of the file, in bytes.
const CACHE: usize = 8 * 1024 * 1024;

/// The state cannot be read or written.
#[derive(Debug, Error)]
pub enum StateFileError {
    /// The file cannot be read or written.
    #[error("failed to access the state file: {0}")]
    File(Box<redb::Error>),
    /// No key decrypts a value.
    #[error("failed to decrypt the state file: {0}")]
    Key(#[from] NotDecrypted),
    /// A value is not what was written.
    #[error("the state file has a value that is not valid")]
    Invalid,
}

impl<E: Into<redb::Error>> From<E> for StateFileError {
    fn from(error: E) -> Self {
        StateFileError::File(Box::new(error.into()))
    }
}

impl From<SealError> for StateFileError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Key(error) => StateFileError::Key(error),
            SealError::Invalid => StateFileError::Invalid,
        }
    }
}

/// The open file. Cloning is cheap.
#[derive(Clone)]
pub struct SealedFile(Arc<SealedDatabase>);

/// The file, for work that waits for the disk.
pub struct SealedDatabase {
    /// The file.
    pub database: Database,
    /// Encrypts its values.
    pub keys: Keyring,
}

// === impl SealedFile ===

impl SealedFile {
    /// Opens or creates the file with these tables.
    ///
    /// # Errors
    /// When it is not such a file, is locked by another process, or cannot be written.
    pub fn open(
        path: &Path,
        keys: Keyring,
        tables: &[SealedTable],
    ) -> Result<Self, StateFileError> {
        let database = Database::builder().set_cache_size(CACHE).create(path)?;
        let write = database.begin_write()?;
        // So that each can be read.
        for table in tables {
            write.open_table(*table)?;
        }
        write.commit()?;
        Ok(SealedFile(Arc::new(SealedDatabase { database, keys })))
    }

    /// The file itself, at the start of the process.
    pub fn at_start(&self) -> &SealedDatabase {
        &self.0
    }

    /// Does work that waits for the disk.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SealedDatabase) -> Result<T, StateFileError> + Send + 'static,
    ) -> Result<T, StateFileError> {
        let file = Arc::clone(&self.0);
        let done = spawn_blocking(move || work(&file)).await;
        // It panicked, or the process ends.
        done.unwrap_or(Err(StateFileError::Invalid))
    }
}

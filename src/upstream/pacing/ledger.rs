//! The accounts of all keys and models.

use super::{
    account::Account,
    shared::{Shared, SharedBooks},
};
use crate::{
    store::Store,
    upstream::{fingerprint::Fingerprint, keys::Key},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Callers name the models, so there may be any number of them: beyond so many
/// accounts, idle ones are forgotten.
const MAX_ACCOUNTS: usize = 256;

/// All accounts. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    accounts: Mutex<HashMap<Name, Entry>>,
    /// Where replicas share them.
    books: Option<Arc<SharedBooks>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name {
    key: Fingerprint,
    model: Arc<str>,
}

#[derive(Debug)]
struct Entry {
    key: Arc<str>,
    account: Arc<Account>,
}

// === impl Ledger ===

impl Ledger {
    /// Accounts that all replicas share, if there is a store.
    pub fn new(store: Option<Store>) -> Self {
        let books = store.map(|store| Arc::new(SharedBooks::new(store)));
        Ledger(Arc::new(Inner {
            accounts: Mutex::default(),
            books,
        }))
    }

    /// The account of a key and model; a new one is made for the first call.
    pub fn account(&self, key: &Key, model: &Arc<str>) -> Arc<Account> {
        let name = Name {
            key: key.fingerprint(),
            model: Arc::clone(model),
        };
        let mut accounts = self
            .0
            .accounts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = accounts.get(&name) {
            return Arc::clone(&entry.account);
        }
        if accounts.len() >= MAX_ACCOUNTS {
            accounts.retain(|_, entry| !entry.account.is_idle());
        }
        let account = Arc::new(match &self.0.books {
            None => Account::default(),
            Some(books) => Account::sharing(Shared::new(books, &name.key.to_string(), &name.model)),
        });
        let entry = Entry {
            key: Arc::clone(key.name()),
            account: Arc::clone(&account),
        };
        accounts.insert(name, entry);
        account
    }

    /// Every account with the names of its key and model.
    pub fn accounts(&self) -> Vec<(Arc<str>, Arc<str>, Arc<Account>)> {
        let accounts = self
            .0
            .accounts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        accounts
            .iter()
            .map(|(name, entry)| {
                let (key, model) = (Arc::clone(&entry.key), Arc::clone(&name.model));
                (key, model, Arc::clone(&entry.account))
            })
            .collect()
    }
}

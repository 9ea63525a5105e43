//! The accounts of all keys and models.

use super::account::Account;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Callers name the models, so there may be any number of them: beyond so many
/// accounts, idle ones are forgotten.
const MAX_ACCOUNTS: usize = 256;

/// All accounts. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<HashMap<Name, Arc<Account>>>>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name {
    key: Arc<str>,
    model: Arc<str>,
}

// === impl Ledger ===

impl Ledger {
    /// The account of a key and model; a new one is made for the first call.
    pub fn account(&self, key: &Arc<str>, model: &Arc<str>) -> Arc<Account> {
        let name = Name {
            key: Arc::clone(key),
            model: Arc::clone(model),
        };
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(&name) {
            return Arc::clone(account);
        }
        if accounts.len() >= MAX_ACCOUNTS {
            accounts.retain(|_, account| !account.is_idle());
        }
        let account = Arc::new(Account::default());
        accounts.insert(name, Arc::clone(&account));
        account
    }

    /// Every account with the names of its key and model.
    pub fn accounts(&self) -> Vec<(Arc<str>, Arc<str>, Arc<Account>)> {
        let accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        accounts
            .iter()
            .map(|(name, account)| {
                let (key, model) = (Arc::clone(&name.key), Arc::clone(&name.model));
                (key, model, Arc::clone(account))
            })
            .collect()
    }
}

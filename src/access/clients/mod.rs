//! The clients: their file, their keys, and finding one by what it shows.

mod edit;
mod file;
mod key;
mod registry;

pub use edit::{Added, NewClient, add, add_signing_key, list, revoke, revoke_key, rotate};
pub use file::{
    ClientEntry, ClientLimits, ClientsError, ClientsFile, KeyEntry, PriorityName, SigningKeyEntry,
};
pub use registry::Clients;

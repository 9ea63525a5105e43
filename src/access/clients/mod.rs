//! The clients: their file, their keys, and looking them up by their
//! credentials.

mod edit;
mod file;
mod key;
mod moment;
mod registry;

pub use edit::{Added, NewClient, add, add_signing_key, list, revoke, revoke_key, rotate};
pub use file::{
    ClientEntry, ClientLimits, ClientsError, ClientsFile, KeyEntry, PriorityName, SigningKeyEntry,
};
pub use moment::{moment, parse_time};
pub use registry::Clients;

//! The clients: their file, their keys, and looking them up by their
//! credentials.

mod client_entry;
mod client_limits;
mod edit;
mod file;
mod key;
mod moment;
mod registry;

pub use client_entry::{ClientEntry, KeyEntry, SigningKeyEntry};
pub use client_limits::{ClientLimits, PriorityName};
pub use edit::{Added, NewClient, add, add_signing_key, list, revoke, revoke_key, rotate};
pub use file::{ClientsError, ClientsFile};
pub use moment::{moment, parse_time};
pub use registry::Clients;

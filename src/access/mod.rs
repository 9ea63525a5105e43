//! Who may call, what they may ask for, and how much of it.
//!
//! A call shows a key, a signature or a certificate; it becomes an
//! [`Identity`] in the request's extensions, or is refused in one constant
//! shape. What an identity may spend is kept by [`limits`].

mod clients;
mod clock;
mod config;
mod credentials;
mod guard;
mod identity;
pub mod limits;
mod reject_reason;
pub mod signature;

pub use clients::{
    Added, ClientEntry, ClientLimits, Clients, ClientsError, ClientsFile, KeyEntry, NewClient,
    PriorityName, SigningKeyEntry, add, add_signing_key, list, revoke, revoke_key, rotate,
};
pub use clock::Clock;
pub use config::{AccessConfig, SignatureConfig};
pub use credentials::remove_credentials;
pub use guard::{Access, Credential};
pub use identity::{Identity, PeerNames};
pub use reject_reason::{Refusals, RejectReason};

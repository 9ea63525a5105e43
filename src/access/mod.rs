//! Who may call, what they may ask for, and how much of it.
//!
//! A call shows a key, a signature or a certificate; it becomes an
//! [`Identity`] in the request's extensions, or is refused in one constant
//! shape. What an identity may spend is kept by [`limits`].

mod cause;
mod clients;
mod clock;
mod config;
mod credentials;
mod guard;
mod identity;
mod layer;
pub mod limits;
pub mod signature;
mod status;

pub use cause::{Cause, Refusals};
pub use clients::{
    Added, ClientEntry, ClientLimits, Clients, ClientsError, ClientsFile, KeyEntry, NewClient,
    PriorityName, SigningKeyEntry, add, add_signing_key, list, revoke, revoke_key, rotate,
};
pub use clock::Clock;
pub use config::{AccessConfig, SignatureConfig};
pub use guard::Access;
pub use identity::{Identity, PeerNames};
pub use layer::{AccessLayer, Guarded};

//! Who may call, what they may ask for, and how much of it.
//!
//! A call presents a key, a signature or a certificate. It gets an [`Identity`]
//! in the request's extensions, or is rejected in one constant way. The limits
//! of an identity are enforced by [`limits`].

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
    PriorityName, SigningKeyEntry, add, add_signing_key, list, moment, parse_time, revoke,
    revoke_key, rotate,
};
pub use clock::Clock;
pub use config::{AccessConfig, SignatureConfig};
pub use credentials::{CREDENTIAL_HEADERS, has_signature, remove_credentials};
pub use guard::{Access, Credential};
pub use identity::{Identity, PeerNames, SignedCall};
pub use reject_reason::{Refusals, RejectReason};

//! The one catalogue of what the hosts of Claude lack of a Messages request: tools of
//! the API, sources, fields, betas.
//!
//! A host refuses what it lacks with 400, as if the request were wrong, so that a call
//! would not move on to the host that can serve it. What a call needs is therefore known
//! before a host is asked.
//!
//! - **The facts are data**: `lacks.toml`, compiled into the binary and parsed once. Each
//!   names its sources, and each source its page and the day on which it was read. What
//!   no source says a host lacks, it has: the host itself will tell. An operator
//!   overrides them for a host, which gains features sooner than this file knows.
//! - **The needs of a call are a set of bits**, found in the typed request and its betas.
//!   Only what has no type here (fields, tools and blocks that are passed through) is
//!   parsed.
//!
//! Users: `upstream`, which selects hosts by it, and the simulator, which refuses what its
//! host lacks.

mod catalogue;
mod detect;
mod feature;
mod lacked;
mod needs;

pub use catalogue::{LackCatalogue, LackRow, lack_catalogue};
pub use feature::MessageFeature;
pub use lacked::LackedFeatures;
pub use needs::Needs;

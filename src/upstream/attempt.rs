//! One attempt of a call: the call, and the key it is made with.

use super::{Call, keys::Key};
use std::sync::Arc;

/// What the layers below the choice of a key see.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The call.
    pub call: Call,
    /// The key.
    pub key: Arc<Key>,
}

//! Where a section keeps its state: in a file of the process, or in the Redis that
//! replicas share.

use super::StoreAddress;
use std::path::Path;

/// What a section says about the place of its state.
pub struct StatePlace<'a> {
    /// Name of the section.
    pub section: &'a str,
    /// The file of the process.
    pub state_file: Option<&'a Path>,
    /// Whether it is in Redis.
    pub shared: bool,
    /// The keys that encrypt it.
    pub key_file: Option<&'a Path>,
}

impl StatePlace<'_> {
    /// Validates it together with `limits.store`. Calls `wrong` with the key and the problem
    /// of each fault.
    pub fn check(&self, store: &StoreAddress, wrong: &mut dyn FnMut(&str, String)) {
        let section = self.section;
        let has_file = self.state_file.is_some();
        for (key, is_set) in [("state_file", has_file), ("shared", self.shared)] {
            if is_set && self.key_file.is_none() {
                wrong(key, format!("must be set together with {section}.key_file"));
            }
        }
        if self.shared && has_file {
            wrong(
                "shared",
                format!("must not be combined with {section}.state_file"),
            );
        }
        if self.shared && *store == StoreAddress::Memory {
            wrong("shared", "requires a Redis URL in limits.store".to_owned());
        }
    }
}

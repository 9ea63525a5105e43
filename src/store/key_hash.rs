//! Names in keys of Redis that must not be read there.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Length of a hash in bytes: nobody finds a second text with the same one.
const HASH: usize = 16;

/// The first half of the SHA-256 of parts with NUL between them, in hexadecimal digits. Only
/// the last part may be any text: the others say what it is.
pub fn key_hash(parts: &[&str]) -> String {
    let hash = Sha256::digest(parts.join("\0"));
    HEXLOWER.encode(&hash[..HASH])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another hash would lose what Redis has. The last one is the example of FIPS 180-4.
    #[test]
    fn a_hash_stays_what_it_is() {
        assert_eq!(key_hash(&["a", "b"]), key_hash(&["a\0b"]));
        assert_ne!(key_hash(&["a", "b"]), key_hash(&["ab"]));
        assert_eq!(key_hash(&["abc"]), "ba7816bf8f01cfea414140de5dae2223");
    }
}

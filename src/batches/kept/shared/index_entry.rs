//! What Redis has of a batch in plain numbers.

use std::{fmt, str::FromStr};

/// The version of a record, and in how many pieces is what is large of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexEntry {
    /// Rises with each change.
    pub version: u64,
    /// Number of pieces of its items.
    pub items: usize,
    /// Number of pieces of the body that submits it; 0 when it is not needed any more.
    pub body: usize,
}

/// It is not what was written.
#[derive(Debug)]
pub struct InvalidEntry;

// === impl IndexEntry ===

impl fmt::Display for IndexEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.version, self.items, self.body)
    }
}

impl FromStr for IndexEntry {
    type Err = InvalidEntry;

    fn from_str(text: &str) -> Result<Self, InvalidEntry> {
        let mut numbers = text.split(' ').map(|it| it.parse::<u64>().ok());
        let mut next = || numbers.next().flatten().ok_or(InvalidEntry);
        let count = |number: u64| usize::try_from(number).map_err(|_| InvalidEntry);
        Ok(IndexEntry {
            version: next()?,
            items: count(next()?)?,
            body: count(next()?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let entry = IndexEntry {
            version: 7,
            items: 1,
            body: 170,
        };
        assert_eq!(entry.to_string(), "7 1 170");
        assert_eq!(entry.to_string().parse::<IndexEntry>().unwrap(), entry);
        for wrong in ["", "7", "7 1", "7 1 x", "-1 0 0"] {
            assert!(wrong.parse::<IndexEntry>().is_err(), "{wrong}");
        }
    }
}

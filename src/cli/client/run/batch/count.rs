//! How far the API is with the documents in batches.

/// Documents in batches that have not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchCount {
    /// How many there are.
    pub documents: usize,
    /// How many of them the API has processed.
    pub processed: usize,
}

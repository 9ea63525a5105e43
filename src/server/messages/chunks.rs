//! The bytes of a message, in few and large allocations.
//!
//! What arrives comes in pieces of some kilobytes, each of which keeps the whole
//! buffer that it was read into. Copied together, a message takes its own size,
//! and the allocator returns a large chunk to the system as soon as it was read.

use bytes::Bytes;
use std::collections::VecDeque;

/// Size of the first chunk, in bytes.
const FIRST: usize = 4 * 1024;

/// Maximum size of a chunk, in bytes: this much of a message is held twice while
/// it is read.
const MAX: usize = 1024 * 1024;

/// Bytes that are added at the end and taken from the front.
#[derive(Debug, Default)]
pub struct Chunks {
    full: VecDeque<Bytes>,
    /// Follows `full`.
    last: Vec<u8>,
    length: usize,
}

impl Chunks {
    /// Keeps these bytes as they are, with the buffer that they are in.
    pub fn whole(bytes: Bytes) -> Self {
        Chunks {
            length: bytes.len(),
            full: VecDeque::from([bytes]),
            last: Vec::new(),
        }
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Copies these bytes to the end. Each chunk is as large as all before it, so
    /// that what has arrived bounds what is reserved.
    pub fn extend(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.last.len() == self.last.capacity() {
                self.close_last();
                self.last.reserve_exact(self.length.clamp(FIRST, MAX));
            }
            let room = self.last.capacity() - self.last.len();
            let (fits, rest) = bytes.split_at(room.min(bytes.len()));
            self.last.extend_from_slice(fits);
            self.length += fits.len();
            bytes = rest;
        }
    }

    /// The first bytes, if there are that many.
    pub fn first<const N: usize>(&self) -> Option<[u8; N]> {
        let mut bytes = self.full.iter().flatten().chain(&self.last);
        let mut first = [0; N];
        for byte in &mut first {
            *byte = *bytes.next()?;
        }
        Some(first)
    }

    /// The bytes behind the first `skipped`, in order.
    pub fn slices_from(&self, skipped: usize) -> impl Iterator<Item = &[u8]> {
        let slices = self.full.iter().map(AsRef::as_ref).chain([&self.last[..]]);
        slices.scan(skipped, |left, slice: &[u8]| {
            let dropped = slice.len().min(*left);
            *left -= dropped;
            Some(&slice[dropped..])
        })
    }

    /// Takes the first chunk.
    pub fn pop_front(&mut self) -> Option<Bytes> {
        if self.full.is_empty() {
            self.close_last();
        }
        let chunk = self.full.pop_front()?;
        self.length -= chunk.len();
        Some(chunk)
    }

    /// Drops this many bytes from the front.
    pub fn advance(&mut self, mut count: usize) {
        while count > 0 {
            let Some(mut chunk) = self.pop_front() else {
                return;
            };
            let rest = chunk.split_off(count.min(chunk.len()));
            count -= chunk.len();
            if !rest.is_empty() {
                self.push_front(rest);
            }
        }
    }

    /// Adds bytes before all others.
    pub fn push_front(&mut self, bytes: Bytes) {
        self.length += bytes.len();
        self.full.push_front(bytes);
    }

    fn close_last(&mut self) {
        if !self.last.is_empty() {
            self.full.push_back(std::mem::take(&mut self.last).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drained(mut chunks: Chunks) -> Vec<Bytes> {
        std::iter::from_fn(|| chunks.pop_front()).collect()
    }

    #[test]
    fn many_small_pieces_become_few_chunks() {
        let mut chunks = Chunks::default();
        for _ in 0..3_000 {
            chunks.extend(&[7; 1_000]);
        }
        let sizes: Vec<usize> = drained(chunks).iter().map(Bytes::len).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 3_000_000);
        assert!(sizes.len() <= 12, "{sizes:?}");
        assert!(sizes.iter().all(|it| *it <= MAX), "{sizes:?}");
    }

    #[test]
    fn a_few_bytes_reserve_little() {
        let mut chunks = Chunks::default();
        chunks.extend(b"few");
        assert_eq!(chunks.last.capacity(), FIRST);
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5_000), 0..20),
            skipped in 0_usize..6_000,
        ) {
            let mut chunks = Chunks::default();
            for piece in &pieces {
                chunks.extend(piece);
            }
            let all = pieces.concat();
            prop_assert_eq!(chunks.len(), all.len());
            let slices: Vec<&[u8]> = chunks.slices_from(skipped).collect();
            prop_assert_eq!(slices.concat(), &all[skipped.min(all.len())..]);
            prop_assert_eq!(chunks.first::<5>().map(Vec::from), all.get(..5).map(Vec::from));
            chunks.advance(skipped);
            let rest = &all[skipped.min(all.len())..];
            prop_assert_eq!(chunks.len(), rest.len());
            prop_assert_eq!(drained(chunks).concat(), rest);
        }
    }
}

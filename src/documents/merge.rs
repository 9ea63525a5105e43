//! How summaries of parts become one: level by level.

use std::ops::Range;

/// Groups of neighbours that are merged in a call each, for texts of these tokens: as many
/// at a time as have at most `max_tokens` together, but two at least, so that each level
/// has fewer texts than the one before. A last text without a neighbour is a group of its
/// own, which need not be merged.
pub fn merge_groups(tokens: &[u64], max_tokens: u64) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let (mut start, mut sum) = (0, 0_u64);
    for (position, tokens) in tokens.iter().enumerate() {
        let is_full = sum.saturating_add(*tokens) > max_tokens && position - start >= 2;
        if is_full {
            groups.push(start..position);
            (start, sum) = (position, 0);
        }
        sum = sum.saturating_add(*tokens);
    }
    if start < tokens.len() {
        groups.push(start..tokens.len());
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    #[test]
    fn as_many_as_fit_are_merged() {
        assert_eq!(merge_groups(&[3, 3, 3, 3, 3], 9), [0..3, 3..5]);
        assert_eq!(merge_groups(&[3, 3, 3], 9), vec![0..3; 1]);
        assert_eq!(merge_groups(&[20, 20, 20], 9), [0..2, 2..3]);
        assert!(merge_groups(&[], 9).is_empty());
    }

    proptest! {
        #[test]
        fn levels_end(tokens in vec(0..30_u64, 2..200), max_tokens in 0..60_u64) {
            let groups = merge_groups(&tokens, max_tokens);
            prop_assert!(groups.len() < tokens.len());
            let members: Vec<usize> = groups.into_iter().flatten().collect();
            prop_assert_eq!(members, (0..tokens.len()).collect::<Vec<_>>());
        }
    }
}

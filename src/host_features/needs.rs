//! A set of features.

use super::MessageFeature;
use std::ops::BitOrAssign;

/// The features that a request needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs(u32);

impl Needs {
    /// Whether it needs none of them.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds a feature.
    pub fn insert(&mut self, feature: MessageFeature) {
        self.0 |= bit(feature);
    }

    /// Adds a feature, if it is needed.
    pub(super) fn insert_if(&mut self, is_needed: bool, feature: MessageFeature) {
        if is_needed {
            self.insert(feature);
        }
    }

    /// Removes a feature.
    pub fn remove(&mut self, feature: MessageFeature) {
        self.0 &= !bit(feature);
    }

    /// Whether it has the feature.
    pub fn contains(self, feature: MessageFeature) -> bool {
        self.0 & bit(feature) != 0
    }

    /// What both have.
    pub fn and(self, other: Needs) -> Needs {
        Needs(self.0 & other.0)
    }

    /// Its features.
    pub fn iter(self) -> impl Iterator<Item = MessageFeature> {
        let all = MessageFeature::ALL.into_iter();
        all.filter(move |feature| self.contains(*feature))
    }
}

impl BitOrAssign for Needs {
    fn bitor_assign(&mut self, other: Needs) {
        self.0 |= other.0;
    }
}

fn bit(feature: MessageFeature) -> u32 {
    1 << feature as u32
}

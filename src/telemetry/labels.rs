//! Label values from outside, bounded.
//!
//! A name that a caller chooses never becomes a label by itself: only names
//! that are configured or that the API has accepted do, up to a maximum number.
//! All others share one label.

use super::names;
use parking_lot::RwLock;
use std::{collections::HashMap, sync::Arc};

/// A label value of a [`LabelSet`], by its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelId(u16);

impl LabelId {
    /// The label of all names outside the set.
    pub const OTHER: LabelId = LabelId(0);
}

/// A bounded set of label values.
#[derive(Debug)]
pub struct LabelSet {
    set: RwLock<Set>,
    most: usize,
}

#[derive(Debug, Default)]
struct Set {
    by_name: HashMap<Arc<str>, LabelId>,
    names: Vec<Arc<str>>,
}

impl LabelSet {
    /// Creates a set of at most `most` names that contains `known`.
    pub fn new<'a>(most: u16, known: impl IntoIterator<Item = &'a str>) -> Self {
        let labels = LabelSet {
            set: RwLock::new(Set {
                by_name: HashMap::new(),
                names: vec![Arc::from(names::OTHER_LABEL)],
            }),
            most: usize::from(most),
        };
        for name in known {
            labels.learn(name);
        }
        labels
    }

    /// The label of a name, or [`LabelId::OTHER`].
    pub fn label(&self, name: &str) -> LabelId {
        let set = self.set.read();
        set.by_name.get(name).copied().unwrap_or(LabelId::OTHER)
    }

    /// Adds a name to the set, if there is room, and returns its label.
    pub fn learn(&self, name: &str) -> LabelId {
        let set = self.set.read();
        if let Some(label) = set.by_name.get(name) {
            return *label;
        }
        if set.names.len() > self.most {
            return LabelId::OTHER;
        }
        drop(set);
        let mut set = self.set.write();
        if let Some(label) = set.by_name.get(name) {
            return *label;
        }
        if set.names.len() > self.most {
            return LabelId::OTHER;
        }
        let name: Arc<str> = Arc::from(name);
        let label = LabelId(set.names.len() as u16);
        set.names.push(Arc::clone(&name));
        set.by_name.insert(name, label);
        label
    }

    /// The name of a label.
    pub fn name(&self, label: LabelId) -> Arc<str> {
        let set = self.set.read();
        let name = set.names.get(usize::from(label.0));
        Arc::clone(name.unwrap_or(&set.names[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bound_are_one() {
        let labels = LabelSet::new(2, ["a"]);
        let a = labels.label("a");
        assert_eq!(&*labels.name(a), "a");
        assert_eq!(labels.label("b"), LabelId::OTHER, "not learned yet");
        let b = labels.learn("b");
        assert_ne!(a, b);
        assert_eq!(labels.learn("c"), LabelId::OTHER);
        assert_eq!(labels.learn("b"), b);
        assert_eq!(&*labels.name(LabelId::OTHER), "other");
    }
}

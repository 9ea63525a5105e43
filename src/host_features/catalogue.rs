//! The catalogue itself.

use super::MessageFeature;
use crate::models::FigureSource;
use serde::Deserialize;
use std::{collections::BTreeMap, sync::LazyLock};

/// The catalogue that is compiled in.
pub fn lack_catalogue() -> &'static LackCatalogue {
    static CATALOGUE: LazyLock<LackCatalogue> = LazyLock::new(|| {
        toml::from_str(include_str!("lacks.toml")).expect("a test reads the same file")
    });
    &CATALOGUE
}

/// What the hosts lack.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LackCatalogue {
    sources: BTreeMap<String, FigureSource>,
    /// By the names of the kinds of hosts.
    hosts: BTreeMap<String, Vec<LackRow>>,
}

/// A feature that a kind of host lacks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LackRow {
    /// The feature.
    pub feature: MessageFeature,
    /// Names of the models that have it there nevertheless.
    #[serde(default)]
    pub but_for: Vec<String>,
    /// Keys of the sources.
    pub source: Vec<String>,
}

impl LackCatalogue {
    /// What a kind of host lacks, by the name of the kind.
    pub fn of(&self, kind: &str) -> &[LackRow] {
        self.hosts.get(kind).map_or(&[], Vec::as_slice)
    }

    /// The names of the kinds that lack something.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.hosts.keys().map(String::as_str)
    }

    /// Where the facts are from, by the keys that rows name.
    pub fn sources(&self) -> &BTreeMap<String, FigureSource> {
        &self.sources
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::catalogue;
    use std::collections::{BTreeSet, HashSet};

    #[test]
    fn each_fact_has_its_sources_and_each_source_its_facts() {
        let all = lack_catalogue();
        let mut used = BTreeSet::new();
        for kind in all.kinds() {
            let mut features = HashSet::new();
            for row in all.of(kind) {
                assert!(features.insert(row.feature), "twice: {kind} {row:?}");
                assert!(!row.source.is_empty(), "{kind} {row:?}");
                used.extend(row.source.iter().map(String::as_str));
                for model in &row.but_for {
                    let known = catalogue().find(model);
                    assert_eq!(known.map(|it| it.name.as_str()), Some(model.as_str()));
                }
            }
        }
        let named: BTreeSet<&str> = all.sources().keys().map(String::as_str).collect();
        assert_eq!(used, named);
    }
}

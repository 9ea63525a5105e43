//! The parts of the API that are in beta: they exist for requests whose header
//! `anthropic-beta` names them.

use super::shapes::Alternative;
use http::HeaderMap;
use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

/// The header with the names, comma separated.
const HEADER: &str = "anthropic-beta";

/// The names that the header of a request has.
#[derive(Debug, Default)]
pub(super) struct Betas<'a> {
    names: HashSet<&'a str>,
    /// Whether each name allows everything.
    unpaired: bool,
}

impl<'a> Betas<'a> {
    pub(super) fn read(headers: &'a HeaderMap, unpaired: bool) -> Self {
        let values = headers.get_all(HEADER).iter();
        let names = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|name| !name.is_empty());
        Betas {
            names: names.collect(),
            unpaired,
        }
    }

    /// Whether the request may use a field that only the beta API has.
    pub(super) fn allow_field(&self, name: &str) -> bool {
        !self.names.is_empty() && self.has_name_of(name)
    }

    /// Whether the request may use a value or a shape.
    pub(super) fn allow(&self, alternative: Alternative) -> bool {
        if alternative.beta {
            self.allow_field(alternative.name)
        } else {
            self.has_name_of(alternative.name)
        }
    }

    fn has_name_of(&self, part: &str) -> bool {
        let wanted = names_of(part);
        self.unpaired || wanted.is_empty() || wanted.iter().any(|it| self.names.contains(it))
    }
}

/// The names that allow a part; none if the table does not have it.
fn names_of(part: &str) -> &'static [&'static str] {
    static NAMES: LazyLock<HashMap<&str, Vec<&str>>> = LazyLock::new(|| {
        let lines = include_str!("betas.txt").lines();
        lines
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (part, names) = line.split_once(' ')?;
                Some((part, names.split(' ').collect()))
            })
            .collect()
    });
    NAMES.get(part).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn allows(value: &str, part: &str, beta: bool) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_str(value).unwrap());
        let name: &'static str = Box::leak(part.to_owned().into_boxed_str());
        Betas::read(&headers, false).allow(Alternative { name, beta })
    }

    #[test]
    fn a_part_is_allowed_by_its_names() {
        assert!(allows("a, message-threads-2026-08-12", "thread", true));
        assert!(!allows("a", "thread", true));
        assert!(allows("a", "part_without_a_name", true));
        assert!(!allows("", "part_without_a_name", true));
        assert!(allows("", "part_without_a_name", false));
    }
}

//! Finds the ids in a request that name what an account has at the API.
//!
//! The whole body is searched as the API reads it, so that no field, typed or raw, names
//! something by a way around. What only the tools of the caller read is left out: there,
//! the same names mean something else.

use crate::upstream::OwnedKind;
use aho_corasick::AhoCorasick;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::{borrow::Cow, fmt, sync::LazyLock};

/// A request without any of these names nothing, and its answer has nothing that could be
/// named later. An escape may spell any of them.
const SIGNS: [&str; 6] = [
    "\"file_id\"",
    "\"container\"",
    "\"thread\"",
    "\\u",
    "code_execution",
    // They run code in a container.
    "\"web_",
];

static SEARCH: LazyLock<AhoCorasick> =
    LazyLock::new(|| AhoCorasick::new(SIGNS).expect("six short patterns are a valid search"));

/// The ids that a JSON body names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NamedIds {
    /// What they name, in their order.
    pub ids: Vec<(OwnedKind, String)>,
    /// Whether the request begins or continues a thread.
    pub has_thread: bool,
}

/// The body is nested too deeply to be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsearchable;

// === impl NamedIds ===

impl NamedIds {
    /// Whether a request may name something, or its answer may have something to name.
    pub fn are_possible(body: &[u8]) -> bool {
        SEARCH.is_match(body)
    }

    /// The ids in a request of the Messages API, or in one that creates a batch.
    ///
    /// # Errors
    /// When the body is nested too deeply.
    pub fn of_request(body: &[u8]) -> Result<NamedIds, Unsearchable> {
        NamedIds::at(Place::Request, body)
    }

    /// The files that a block of an answer names.
    pub fn of_block(json: &str) -> NamedIds {
        NamedIds::at(Place::Elsewhere, json.as_bytes()).unwrap_or_default()
    }

    fn at(place: Place, json: &[u8]) -> Result<NamedIds, Unsearchable> {
        let mut named = NamedIds::default();
        let walk = Walk {
            named: &mut named,
            place,
        };
        let mut json = serde_json::Deserializer::from_slice(json);
        walk.deserialize(&mut json).map_err(|_| Unsearchable)?;
        Ok(named)
    }
}

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The body: one request, or one that creates a batch.
    Request,
    /// The list of the requests of a batch, or one of them.
    BatchRequest,
    /// The value of `container`.
    Container,
    /// The value of `thread`.
    Thread,
    /// The id itself.
    Id(OwnedKind),
    Elsewhere,
}

impl Place {
    /// The place of a field; `None` for one that is not searched.
    fn below(self, field: &str) -> Option<Place> {
        Some(match (self, field) {
            (Place::Request, "requests") => Place::BatchRequest,
            (Place::BatchRequest, "params") => Place::Request,
            (Place::Request, "container") => Place::Container,
            (Place::Request, "thread") => Place::Thread,
            (Place::Container, "id") => Place::Id(OwnedKind::Container),
            (Place::Thread, "previous_message_id") => Place::Id(OwnedKind::Thread),
            (_, "file_id") => Place::Id(OwnedKind::File),
            // What a tool of the caller reads.
            (Place::Elsewhere, "input" | "input_schema" | "schema") => return None,
            _ => Place::Elsewhere,
        })
    }
}

struct Walk<'a> {
    named: &'a mut NamedIds,
    place: Place,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        let kind = match self.place {
            Place::Id(kind) => kind,
            Place::Container => OwnedKind::Container,
            _ => return Ok(()),
        };
        self.named.ids.push((kind, text.to_owned()));
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.named.has_thread |= self.place == Place::Thread;
        while let Some(field) = map.next_key::<Cow<'_, str>>()? {
            match self.place.below(&field) {
                Some(place) => map.next_value_seed(Walk {
                    named: &mut *self.named,
                    place,
                })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(()) = seq.next_element_seed(Walk {
            named: &mut *self.named,
            place: self.place,
        })? {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(body: &str) -> Vec<(OwnedKind, String)> {
        assert!(NamedIds::are_possible(body.as_bytes()), "{body}");
        NamedIds::of_request(body.as_bytes()).unwrap().ids
    }

    #[test]
    fn each_way_to_name_something_is_found() {
        use OwnedKind::{Container, File, Thread};
        for (body, expected) in [
            (
                r#"{"messages":[{"content":[{"source":{"type":"file","file_id":"f"}}]}]}"#,
                (File, "f"),
            ),
            (
                r#"{"messages":[{"content":[{"type":"tool_result","content":[{"source":{"file_id":"f"}}]}]}]}"#,
                (File, "f"),
            ),
            (
                r#"{"system":[{"source":{"f\u0069le_id":"f"}}]}"#,
                (File, "f"),
            ),
            (r#"{"input":{"file_id":"f"}}"#, (File, "f")),
            (r#"{"container":"c"}"#, (Container, "c")),
            (r#"{"c\u006fntainer":"\u0063"}"#, (Container, "c")),
            (r#"{"container":{"skills":[],"id":"c"}}"#, (Container, "c")),
            (
                r#"{"thread":{"type":"continue","previous_message_id":"m"}}"#,
                (Thread, "m"),
            ),
            (
                r#"{"requests":[{"custom_id":"a","params":{"container":"c"}}]}"#,
                (Container, "c"),
            ),
        ] {
            let (kind, id) = expected;
            assert_eq!(named(body), [(kind, id.to_owned())], "{body}");
        }
    }

    #[test]
    fn the_last_of_two_equal_fields_does_not_hide_the_first() {
        let ids = named(r#"{"container":"a","container":"b"}"#);
        assert_eq!(ids.len(), 2);
    }

    #[test]
    fn what_the_callers_own_tools_read_names_nothing() {
        for body in [
            r#"{"messages":[{"content":[{"type":"tool_use","input":{"file_id":"f","container":"c"}}]}]}"#,
            r#"{"tools":[{"input_schema":{"properties":{"file_id":{"const":"f","file_id":"f"}}}}]}"#,
            r#"{"output_config":{"format":{"schema":{"default":{"file_id":"f"}}}}}"#,
            r#"{"messages":[{"content":"\"file_id\":\"f\" \u0001"}],"metadata":{"container":"c"}}"#,
            r#"{"thread":{"type":"create"}}"#,
        ] {
            assert_eq!(named(body), [], "{body}");
        }
    }

    #[test]
    fn most_requests_are_not_read() {
        let body = br#"{"model":"m","messages":[{"role":"user","content":"Hello"}]}"#;
        assert!(!NamedIds::are_possible(body));
    }

    #[test]
    fn what_is_nested_too_deeply_is_not_passed_on_unread() {
        let body = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(NamedIds::of_request(body.as_bytes()), Err(Unsearchable));
    }
}

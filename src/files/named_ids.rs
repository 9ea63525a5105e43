//! Finds the ids in a request that name what an account has at the API.
//!
//! The whole body is searched as the API reads it, so that no field, typed or raw, names
//! something by a way around. What only the tools of the caller read is left out: there,
//! the same names mean something else.

use crate::{claude::representable::representable, upstream::OwnedKind};
use aho_corasick::AhoCorasick;
use bytes::Bytes;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeSet, fmt, sync::LazyLock};
use tokio::task::spawn_blocking;

/// A request without any of these names nothing, and its answer has nothing that could be
/// named later. An escape may spell any of them.
const SIGNS: [&str; 6] = [
    "\"file_id\"",
    "\"container\"",
    "\"thread\"",
    "\\u00",
    "code_execution",
    // They run code in a container.
    "\"web_",
];

/// The objects in which results say what was made.
/// Source: the types of the official SDK (PyPI `anthropic` 2.14.0).
const OUTPUTS: [&str; 2] = ["code_execution_output", "bash_code_execution_output"];

/// A body of this size in bytes is searched on a thread of its own: it takes milliseconds.
const LARGE: usize = 1 << 20;

static SEARCH: LazyLock<AhoCorasick> =
    LazyLock::new(|| AhoCorasick::new(SIGNS).expect("six short patterns are a valid search"));

/// The ids that a JSON body names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NamedIds {
    /// What they name.
    pub ids: BTreeSet<(OwnedKind, String)>,
    /// Files that results of the API's tools say were made, as they are in the history of
    /// a conversation. That gives no access to them.
    pub results: BTreeSet<String>,
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

    /// As [`of_request`](Self::of_request), next to other work if the body is large; `None`
    /// for a body without any of the signs.
    ///
    /// # Errors
    /// When the body is nested too deeply.
    pub async fn search(body: &Bytes) -> Result<Option<NamedIds>, Unsearchable> {
        if !NamedIds::are_possible(body) {
            return Ok(None);
        }
        if body.len() < LARGE {
            return NamedIds::of_request(body).map(Some);
        }
        let body = body.clone();
        let search = spawn_blocking(move || NamedIds::of_request(&body));
        search.await.unwrap_or(Err(Unsearchable)).map(Some)
    }

    /// The ids in a request of the Messages API, or in one that creates a batch.
    ///
    /// # Errors
    /// When the body is nested too deeply.
    pub fn of_request(body: &[u8]) -> Result<NamedIds, Unsearchable> {
        NamedIds::at(Place::Request, body)
    }

    /// The files that a result of a tool in an answer says were made.
    pub fn of_result(json: &str) -> BTreeSet<String> {
        let named = NamedIds::at(Place::Elsewhere, json.as_bytes());
        named.unwrap_or_default().results
    }

    fn at(place: Place, json: &[u8]) -> Result<NamedIds, Unsearchable> {
        let json = str::from_utf8(json).map_err(|_| Unsearchable)?;
        // Half a character, or a number beyond all doubles, is valid JSON all the same.
        NamedIds::walked(place, json).or_else(|_| NamedIds::walked(place, &representable(json)))
    }

    fn walked(place: Place, json: &str) -> Result<NamedIds, Unsearchable> {
        let mut named = NamedIds::default();
        let walk = Walk {
            named: &mut named,
            place,
        };
        let mut json = serde_json::Deserializer::from_str(json);
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
            (Place::Elsewhere, "input" | "input_schema" | "input_examples" | "schema") => {
                return None;
            }
            _ => Place::Elsewhere,
        })
    }
}

/// Whether an object of this type says what a tool of the API has made.
fn is_output(kind: &Value) -> bool {
    let kind = kind.as_str().unwrap_or_default();
    OUTPUTS.contains(&kind)
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
        self.named.ids.insert((kind, text.to_owned()));
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.named.has_thread |= self.place == Place::Thread;
        let mut object = NamedIds::default();
        let mut kinds = Vec::new();
        while let Some(field) = map.next_key::<Cow<'_, str>>()? {
            let named = match self.place.below(&field) {
                None => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                Some(Place::Elsewhere) if field == "type" => {
                    let kind = map.next_value::<Value>()?;
                    let walk = Walk {
                        named: &mut *self.named,
                        place: Place::Elsewhere,
                    };
                    walk.deserialize(&kind).map_err(A::Error::custom)?;
                    kinds.push(kind);
                    continue;
                }
                Some(place @ Place::Id(OwnedKind::File)) => (&mut object, place),
                Some(place) => (&mut *self.named, place),
            };
            let (named, place) = named;
            map.next_value_seed(Walk { named, place })?;
        }
        // One type alone: of two, the API may read the other one.
        let is_result = matches!(&kinds[..], [kind] if is_output(kind));
        for (kind, id) in object.ids {
            if is_result {
                self.named.results.insert(id);
            } else {
                self.named.ids.insert((kind, id));
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
        let named = NamedIds::of_request(body.as_bytes()).unwrap();
        named.ids.into_iter().collect()
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
            r#"{"tools":[{"input_examples":[{"file_id":"f"}]}]}"#,
        ] {
            assert_eq!(named(body), [], "{body}");
        }
    }

    #[test]
    fn the_results_in_a_history_name_nothing_but_what_looks_like_them_does() {
        for (output, expected) in [
            (r#"{"file_id":"f","type":"code_execution_output"}"#, 0),
            (r#"{"type":"bash_code_execution_output","file_id":"f"}"#, 0),
            (r#"{"type":"file","file_id":"f"}"#, 1),
            (r#"{"file_id":"f"}"#, 1),
            (
                r#"{"type":"code_execution_output","type":"file","file_id":"f"}"#,
                1,
            ),
            (
                r#"{"type":"code_execution_output","source":{"file_id":"f"}}"#,
                1,
            ),
        ] {
            let body = format!(r#"{{"messages":[{{"content":[{{"content":[{output}]}}]}}]}}"#);
            assert_eq!(named(&body).len(), expected, "{body}");
            assert_eq!(NamedIds::of_result(&body).len(), 1 - expected, "{body}");
        }
    }

    #[test]
    fn what_serde_json_cannot_read_is_searched_as_well() {
        for strange in [r#""\udcff""#, "1e400"] {
            let body = format!(r#"{{"a":{strange},"container":"c"}}"#);
            assert_eq!(named(&body).len(), 1, "{body}");
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

//! The models that are offered.

use super::error::ApiError;
use crate::claude::models::{ModelInfo, ModelPage};
use serde::Serialize;
use serde_json::{Value, json};

/// One model and the limits it has.
#[derive(Debug)]
pub(super) struct Model {
    /// The id that answers name; `alias` is accepted in requests too.
    pub(super) id: &'static str,
    alias: Option<&'static str>,
    name: &'static str,
    created_at: &'static str,
    /// Maximum input, in tokens.
    pub(super) max_input_tokens: u64,
    /// Maximum `max_tokens` of a request.
    pub(super) max_tokens: u32,
    /// Whether `tool_choice` can force a tool.
    pub(super) forces_tools: bool,
    /// Whether the last message can be the beginning of the answer.
    pub(super) prefills: bool,
}

/// Newest first.
const MODELS: [Model; 7] = [
    Model {
        id: "claude-sonnet-5-5",
        alias: None,
        name: "Claude Sonnet 5.5",
        created_at: "2026-10-21T00:00:00Z",
        max_input_tokens: 1_000_000,
        max_tokens: 128_000,
        forces_tools: false,
        prefills: false,
    },
    Model {
        id: "claude-haiku-5-5",
        alias: None,
        name: "Claude Haiku 5.5",
        created_at: "2026-10-20T00:00:00Z",
        max_input_tokens: 1_000_000,
        max_tokens: 128_000,
        forces_tools: true,
        prefills: false,
    },
    Model {
        id: "claude-opus-5-5",
        alias: None,
        name: "Claude Opus 5.5",
        created_at: "2026-09-15T00:00:00Z",
        max_input_tokens: 1_000_000,
        max_tokens: 128_000,
        forces_tools: true,
        prefills: false,
    },
    Model {
        id: "claude-fable-5-1",
        alias: None,
        name: "Claude Fable 5.1",
        created_at: "2026-08-18T00:00:00Z",
        max_input_tokens: 1_000_000,
        max_tokens: 128_000,
        forces_tools: true,
        prefills: false,
    },
    Model {
        id: "claude-sonnet-5",
        alias: None,
        name: "Claude Sonnet 5",
        created_at: "2026-05-12T00:00:00Z",
        max_input_tokens: 1_000_000,
        max_tokens: 128_000,
        forces_tools: true,
        prefills: false,
    },
    Model {
        id: "claude-opus-4-8",
        alias: None,
        name: "Claude Opus 4.8",
        created_at: "2026-03-10T00:00:00Z",
        max_input_tokens: 1_000_000,
        max_tokens: 128_000,
        forces_tools: true,
        prefills: false,
    },
    Model {
        id: "claude-haiku-4-5-20251001",
        alias: Some("claude-haiku-4-5"),
        name: "Claude Haiku 4.5",
        created_at: "2025-10-01T00:00:00Z",
        max_input_tokens: 200_000,
        max_tokens: 64_000,
        forces_tools: true,
        prefills: true,
    },
];

/// The model of an id.
///
/// # Errors
/// 404 for an unknown model.
pub(super) fn find(id: &str) -> Result<&'static Model, ApiError> {
    MODELS
        .iter()
        .find(|model| model.id == id || model.alias == Some(id))
        .ok_or_else(|| ApiError::not_found(format!("model: {id}")))
}

/// The JSON of one model.
///
/// # Errors
/// 404 for an unknown model.
pub(super) fn model(id: &str) -> Result<String, ApiError> {
    Ok(json_of(&info(find(id)?)))
}

/// The JSON of one page of the catalogue.
///
/// # Errors
/// 400 for an invalid query.
pub(super) fn page(query: &str) -> Result<String, ApiError> {
    let mut limit = 20;
    let mut after = None;
    let mut before = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "limit" => limit = read_limit(value)?,
            "after_id" => after = Some(position(value)?),
            "before_id" => before = Some(position(value)?),
            // The SDKs mark beta calls in the query.
            "beta" => {}
            _ => {
                return Err(ApiError::invalid(format!(
                    "{name}: Extra inputs are not permitted"
                )));
            }
        }
    }
    let (data, has_more): (&[Model], bool) = match (after, before) {
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(
                "after_id and before_id exclude each other",
            ));
        }
        (None, Some(before)) => {
            let first = before.saturating_sub(limit);
            (&MODELS[first..before], first > 0)
        }
        (after, None) => {
            let rest = &MODELS[after.map_or(0, |after| after + 1)..];
            (&rest[..limit.min(rest.len())], rest.len() > limit)
        }
    };
    let page = ModelPage {
        has_more,
        first_id: data.first().map(|model| model.id.to_owned()),
        last_id: data.last().map(|model| model.id.to_owned()),
        data: data.iter().map(info).collect(),
    };
    Ok(json_of(&page))
}

fn read_limit(value: &str) -> Result<usize, ApiError> {
    value
        .parse()
        .ok()
        .filter(|limit| (1..=1000).contains(limit))
        .ok_or_else(|| ApiError::invalid("limit: must be a number from 1 to 1000"))
}

fn position(id: &str) -> Result<usize, ApiError> {
    MODELS
        .iter()
        .position(|model| model.id == id)
        .ok_or_else(|| ApiError::invalid(format!("{id}: unknown model to page from")))
}

fn json_of(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data always serializes")
}

fn info(model: &Model) -> ModelInfo {
    ModelInfo {
        kind: "model".to_owned(),
        id: model.id.to_owned(),
        display_name: format!("{} (simulated)", model.name),
        created_at: model.created_at.to_owned(),
        lifecycle: "active".to_owned(),
        retires_at: None,
        deprecated_at: None,
        max_input_tokens: Some(model.max_input_tokens),
        max_tokens: Some(u64::from(model.max_tokens)),
        capabilities: capabilities(model),
    }
}

fn capabilities(model: &Model) -> Value {
    let yes = || json!({"supported": true});
    let no = || json!({"supported": false});
    let is = |supported: bool| json!({"supported": supported});
    let newer = !model.prefills;
    json!({
        "batch": no(),
        "citations": no(),
        "code_execution": no(),
        "context_management": no(),
        "effort": {
            "supported": newer,
            "low": is(newer),
            "medium": is(newer),
            "high": is(newer),
            "xhigh": is(newer),
            "max": is(newer),
        },
        "image_input": yes(),
        "pdf_input": yes(),
        "server_tools": {"supported": false, "code_execution": no(), "web_search": no()},
        "structured_outputs": yes(),
        "thinking": {
            "supported": true,
            "types": {
                "adaptive": is(newer),
                "between_tools": is(newer),
                "disabled": yes(),
                "enabled": yes(),
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(query: &str) -> (Vec<String>, bool) {
        let page: ModelPage = ModelPage::read(page(query).unwrap().as_bytes()).unwrap();
        (
            page.data.into_iter().map(|model| model.id).collect(),
            page.has_more,
        )
    }

    #[test]
    fn pages_meet_without_gap_or_overlap() {
        let (all, more) = ids("");
        assert!(!more);
        assert_eq!(all.len(), MODELS.len());
        let mut paged = Vec::new();
        let mut query = "limit=2".to_owned();
        loop {
            let (page, more) = ids(&query);
            paged.extend(page);
            if !more {
                break;
            }
            query = format!("limit=2&after_id={}", paged.last().unwrap());
        }
        assert_eq!(paged, all);
        assert_eq!(
            ids(&format!("limit=2&before_id={}", all[3])),
            (all[1..3].to_vec(), true)
        );
        assert_eq!(
            ids(&format!("before_id={}", all[2])),
            (all[..2].to_vec(), false)
        );
        for wrong in ["limit=0", "limit=x", "after_id=nobody", "colour=red"] {
            assert!(page(wrong).is_err(), "{wrong}");
        }
    }
}

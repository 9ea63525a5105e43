//! The models that are offered: those of the catalogue.

use super::{error::ApiError, paging::ListQuery};
use crate::{
    claude::{models::ModelInfo, request::Effort},
    models::{Day, KnownModel, ThinkingType, catalogue},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Newest first.
fn models() -> &'static [KnownModel] {
    catalogue().models()
}

/// The model of an id.
///
/// # Errors
/// 404 for an unknown model.
pub(super) fn find(id: &str) -> Result<&'static KnownModel, ApiError> {
    models()
        .iter()
        .find(|model| model.name == id || model.id() == id)
        .ok_or_else(|| ApiError::not_found(format!("model: {id}")))
}

/// A model that is only described: no message can be asked of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelFixture {
    id: String,
    /// The model of the catalogue whose description it has.
    like: String,
}

/// The description of a model that exists from the start.
///
/// # Errors
/// 404 when it is like an unknown model.
pub(super) fn fixture(model: ModelFixture) -> Result<ModelInfo, ApiError> {
    Ok(ModelInfo {
        id: model.id,
        ..info(find(&model.like)?)
    })
}

/// The JSON of one model, which can be one of the fixtures.
///
/// # Errors
/// 404 for an unknown model.
pub(super) fn model(id: &str, fixtures: &[ModelInfo]) -> Result<String, ApiError> {
    match fixtures.iter().find(|model| model.id == id) {
        Some(model) => Ok(json_of(model)),
        None => Ok(json_of(&info(find(id)?))),
    }
}

/// The JSON of one page of the catalogue, which the fixtures follow.
///
/// # Errors
/// 400 for an invalid query.
pub(super) fn page(query: &str, fixtures: &[ModelInfo]) -> Result<String, ApiError> {
    let mut stages = Vec::new();
    let query = ListQuery::read(query, |name, value| {
        let is_stage = matches!(name, "lifecycle[]" | "lifecycle%5B%5D");
        if is_stage {
            stages.push(stage(value)?);
        }
        Ok(is_stage)
    })?;
    let all = models().iter().map(info);
    let all = all.chain(fixtures.iter().cloned()).collect();
    let is_listed =
        |model: &ModelInfo| stages.is_empty() || stages.contains(&model.lifecycle.as_str());
    Ok(json_of(&query.page(all, |model| &model.id, is_listed)?))
}

/// A stage of life in a query.
fn stage(value: &str) -> Result<&'static str, ApiError> {
    let stages = ["active", "deprecated", "retired"];
    let found = stages.into_iter().find(|stage| *stage == value);
    found.ok_or_else(|| {
        ApiError::invalid("lifecycle: Input should be 'active', 'deprecated' or 'retired'")
    })
}

/// The stage of life of a model that is served.
fn stage_of(model: &KnownModel) -> &'static str {
    match model.lifecycle.retires {
        Some(_) => "deprecated",
        None => "active",
    }
}

fn json_of(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data always serializes")
}

fn info(model: &KnownModel) -> ModelInfo {
    let dates = &model.lifecycle;
    ModelInfo {
        kind: "model".to_owned(),
        id: model.id().to_owned(),
        display_name: format!("{} (simulated)", model.display_name),
        created_at: dates.released.rfc3339(),
        lifecycle: stage_of(model).to_owned(),
        retires_at: dates.retires.map(Day::rfc3339),
        deprecated_at: dates.deprecated.map(Day::rfc3339),
        line: Some(model.line.clone()),
        max_input_tokens: Some(model.limits.context_window),
        max_tokens: Some(u64::from(model.limits.max_output)),
        capabilities: capabilities(model),
    }
}

fn capabilities(model: &KnownModel) -> Value {
    let yes = || json!({"supported": true});
    let no = || json!({"supported": false});
    let is = |supported: bool| json!({"supported": supported});
    let effort = |level: Effort| is(model.rules.effort.contains(&level));
    let thinks = |kind: ThinkingType| is(model.rules.thinking.contains(&kind));
    json!({
        "batch": yes(),
        "citations": no(),
        "code_execution": no(),
        "context_management": no(),
        "effort": {
            "supported": !model.rules.effort.is_empty(),
            "low": effort(Effort::Low),
            "medium": effort(Effort::Medium),
            "high": effort(Effort::High),
            "xhigh": effort(Effort::Xhigh),
            "max": effort(Effort::Max),
        },
        "image_input": yes(),
        "pdf_input": yes(),
        "server_tools": {"supported": false, "code_execution": no(), "web_search": no()},
        "structured_outputs": yes(),
        "thinking": {
            "supported": true,
            "types": {
                "adaptive": thinks(ThinkingType::Adaptive),
                "between_tools": thinks(ThinkingType::BetweenTools),
                "disabled": thinks(ThinkingType::Disabled),
                "enabled": thinks(ThinkingType::Enabled),
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::models::ModelPage;

    fn ids(query: &str) -> (Vec<String>, bool) {
        let page: ModelPage = ModelPage::read(page(query, &[]).unwrap().as_bytes()).unwrap();
        (
            page.data.into_iter().map(|model| model.id).collect(),
            page.has_more,
        )
    }

    #[test]
    fn pages_meet_without_gap_or_overlap() {
        let (all, more) = ids("");
        assert!(!more);
        assert_eq!(all.len(), models().len());
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
            assert!(page(wrong, &[]).is_err(), "{wrong}");
        }
    }
}

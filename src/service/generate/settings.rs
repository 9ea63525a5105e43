//! Maps the settings of a request that have one value to the API's.

use super::content::non_empty;
use crate::{
    claude::{
        container::{RequestedContainer, RequestedSkill, SkillKind},
        request::{Diagnostics, Metadata, ServiceTier, Speed},
    },
    proto::v1,
    status::{Path, Violations},
};

/// Maximum length of `user_id`, in characters.
const MAX_USER_ID: usize = 256;

/// The texts at which the model stops.
pub fn stop_sequences(sequences: Vec<String>, wrong: &mut Violations) -> Vec<String> {
    for (index, sequence) in sequences.iter().enumerate() {
        if sequence.trim().is_empty() {
            let path = Path::root("stop_sequences").item(index);
            wrong.add(path, "must not be empty or whitespace");
        }
    }
    sequences
}

/// What the API learns of the end user.
pub fn metadata(user_id: String, wrong: &mut Violations) -> Option<Metadata> {
    if user_id.is_empty() {
        return None;
    }
    if user_id.chars().count() > MAX_USER_ID {
        wrong.add(
            "user_id",
            format!("must have at most {MAX_USER_ID} characters"),
        );
    }
    Some(Metadata {
        user_id: Some(user_id),
    })
}

/// Which capacity serves the call.
pub fn service_tier(tier: i32, wrong: &mut Violations) -> Option<ServiceTier> {
    match v1::ServiceTier::try_from(tier) {
        Ok(v1::ServiceTier::Unspecified) => None,
        Ok(v1::ServiceTier::Auto) => Some(ServiceTier::Auto),
        Ok(v1::ServiceTier::StandardOnly) => Some(ServiceTier::StandardOnly),
        Err(_) => {
            wrong.add("service_tier", "is an unknown value");
            None
        }
    }
}

/// How fast the model answers.
pub fn speed(speed: i32, wrong: &mut Violations) -> Option<Speed> {
    match v1::Speed::try_from(speed) {
        Ok(v1::Speed::Unspecified) => None,
        Ok(v1::Speed::Standard) => Some(Speed::Standard),
        Ok(v1::Speed::Fast) => Some(Speed::Fast),
        Err(_) => {
            wrong.add("speed", "is an unknown value");
            None
        }
    }
}

/// The region where the model runs.
pub fn inference_geo(region: String, wrong: &mut Violations) -> Option<String> {
    let region = non_empty(region)?;
    if region.trim().is_empty() {
        wrong.add("inference_geo", "must not be whitespace");
    }
    Some(region)
}

/// What the API reports of its cache.
pub fn diagnostics(asked: Option<v1::DiagnosticsParams>) -> Option<Diagnostics> {
    asked.map(|asked| Diagnostics {
        previous_message_id: non_empty(asked.previous_message_id),
    })
}

/// The container in which the API's tools run.
pub fn container(
    asked: Option<v1::ContainerParams>,
    wrong: &mut Violations,
) -> Option<RequestedContainer> {
    let asked = asked?;
    let path = Path::root("container");
    if asked.skills.is_empty() {
        if asked.id.trim().is_empty() {
            wrong.add(path, "must have an id or skills");
        }
        return Some(RequestedContainer::Id(asked.id));
    }
    let mut skills = Vec::with_capacity(asked.skills.len());
    for (index, one) in asked.skills.into_iter().enumerate() {
        skills.extend(skill(one, path.field("skills").item(index), wrong));
    }
    Some(RequestedContainer::WithSkills {
        id: non_empty(asked.id),
        skills,
    })
}

fn skill(
    skill: v1::ContainerSkill,
    path: Path<'_>,
    wrong: &mut Violations,
) -> Option<RequestedSkill> {
    if skill.skill_id.trim().is_empty() {
        wrong.add(path.field("skill_id"), "must not be empty");
    }
    let kind = match skill.r#type.as_str() {
        "anthropic" => SkillKind::Anthropic,
        "custom" => SkillKind::Custom,
        _ => {
            wrong.add(path.field("type"), "must be anthropic or custom");
            return None;
        }
    };
    Some(RequestedSkill {
        kind,
        skill_id: skill.skill_id,
        version: non_empty(skill.version),
    })
}

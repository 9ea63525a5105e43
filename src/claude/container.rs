//! The container that a request asks for.

use serde::{Deserialize, Serialize};

/// A container in which tools of the API run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum RequestedContainer {
    /// The one that an earlier call used.
    Id(String),
    /// One with skills.
    WithSkills {
        /// Id of the one that an earlier call used; otherwise it is a new one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The skills to load.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        skills: Vec<RequestedSkill>,
    },
}

/// A skill to load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestedSkill {
    /// Who made it.
    #[serde(rename = "type")]
    pub kind: SkillKind,
    /// Its id.
    pub skill_id: String,
    /// Its version; the newest one if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Who made a skill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkillKind {
    /// The API.
    Anthropic,
    /// The caller.
    Custom,
}

//! The container in which the API ran code for a response.

use super::lenient::Object;
use serde::Serialize;

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Container {
    /// Id, with which a later request uses it again.
    pub id: String,
    /// RFC 3339 time at which it expires.
    pub expires_at: String,
    /// Skills that are loaded in it.
    pub skills: Option<Vec<Skill>>,
}

/// A skill in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skill {
    /// `anthropic` or `custom`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Id of the skill.
    pub skill_id: String,
    /// Its version.
    pub version: String,
}

impl Container {
    /// The container of a message, or of its end; `None` if there is none.
    pub(super) fn read(parent: &Object<'_>) -> Option<Self> {
        let container = parent.object("container")?;
        let skills = container.list("skills").map(|skills| {
            let skills = skills.into_iter();
            let skills = skills.filter_map(|skill| Object::read(skill.get()).ok());
            skills.map(|skill| Skill::read(&skill)).collect()
        });
        Some(Container {
            id: container.text("id").unwrap_or_default(),
            expires_at: container.text("expires_at").unwrap_or_default(),
            skills,
        })
    }
}

impl Skill {
    fn read(skill: &Object<'_>) -> Self {
        Skill {
            kind: skill.text("type").unwrap_or_default(),
            skill_id: skill.text("skill_id").unwrap_or_default(),
            version: skill.text("version").unwrap_or_default(),
        }
    }
}

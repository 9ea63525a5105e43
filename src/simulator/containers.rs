//! Containers: where the API runs code, so that a later request finds the files of an
//! earlier one. Here they only have an id and an age.

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};

/// Maximum number of containers; the oldest are forgotten.
const MAX_CONTAINERS: usize = 1000;

/// How long a container exists.
const LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The containers by their ids.
#[derive(Debug, Default)]
pub(super) struct ContainerStore {
    containers: Mutex<Containers>,
}

#[derive(Debug, Default)]
struct Containers {
    by_id: HashMap<String, StoredContainer>,
    /// The ids, oldest first.
    order: VecDeque<String>,
}

#[derive(Debug, Clone)]
struct StoredContainer {
    key: String,
    expires_at: Timestamp,
}

impl ContainerStore {
    /// The id of the container that a request names, if the key has no such container.
    pub(super) fn unknown<'a>(&self, key: &str, asked: Option<&'a Value>) -> Option<&'a str> {
        let id = asked.and_then(id_of)?;
        self.find(key, id).is_none().then_some(id)
    }

    /// The container in which a request runs its code, as its answer has it: the one
    /// that it names, or a new one with this number.
    pub(super) fn run(&self, key: &str, asked: Option<&Value>, number: u64) -> Value {
        let named = asked.and_then(id_of);
        let known = named.and_then(|id| Some((id.to_owned(), self.find(key, id)?)));
        let (id, container) = known.unwrap_or_else(|| self.create(key, number));
        let mut answer =
            json!({"id": id, "expires_at": container.expires_at.to_string(), "skills": null});
        if let Some(Value::Array(skills)) = asked.and_then(|it| it.get("skills")) {
            answer["skills"] = skills.iter().map(loaded).collect();
        }
        answer
    }

    fn find(&self, key: &str, id: &str) -> Option<StoredContainer> {
        let containers = self.containers.lock();
        let container = containers.by_id.get(id)?;
        let is_alive = container.key == key && container.expires_at > Timestamp::now();
        is_alive.then(|| container.clone())
    }

    fn create(&self, key: &str, number: u64) -> (String, StoredContainer) {
        let id = format!("container_sim_{number:012}");
        let container = StoredContainer {
            key: key.to_owned(),
            expires_at: Timestamp::now() + LIFETIME,
        };
        let mut containers = self.containers.lock();
        containers.order.push_back(id.clone());
        containers.by_id.insert(id.clone(), container.clone());
        if containers.order.len() > MAX_CONTAINERS
            && let Some(oldest) = containers.order.pop_front()
        {
            containers.by_id.remove(&oldest);
        }
        (id, container)
    }
}

/// The id of a request's `container`, which is an id or has one.
fn id_of(asked: &Value) -> Option<&str> {
    asked.as_str().or_else(|| asked.get("id")?.as_str())
}

/// A skill of a request as it is in the container.
fn loaded(skill: &Value) -> Value {
    let mut skill = skill.clone();
    if skill.get("version").is_none_or(Value::is_null) {
        skill["version"] = json!("latest");
    }
    skill
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_found_by_its_key_until_it_is_forgotten() {
        let store = ContainerStore::default();
        let skills = json!({"skills": [{"type": "anthropic", "skill_id": "pdf"}]});
        let first = store.run("key", Some(&skills), 1);
        assert_eq!(first["skills"][0]["version"], "latest");
        let id = &first["id"];
        assert_eq!(store.unknown("key", Some(id)), None);
        assert_eq!(store.unknown("other", Some(id)), id.as_str());
        assert_eq!(&store.run("key", Some(&json!({"id": id})), 2)["id"], id);
        for number in 3..3 + MAX_CONTAINERS as u64 {
            store.run("key", None, number);
        }
        assert_eq!(store.unknown("key", Some(id)), id.as_str());
        assert_eq!(store.containers.lock().by_id.len(), MAX_CONTAINERS);
    }
}

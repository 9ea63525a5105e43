//! Threads: conversations that the API keeps, so that a request sends only what is
//! new (`message-threads-2026-08-12`).

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, VecDeque};
use thiserror::Error;

/// Maximum number of responses that can be continued; the oldest are forgotten.
const MAX_KEPT: usize = 1000;

/// Maximum size of all conversations, in bytes of JSON.
const MAX_BYTES: usize = 64 << 20;

/// What a thread keeps from its first request on.
const CREATE_ONLY: [&str; 2] = ["system", "tools"];

/// Fields of requests that cannot be combined with `thread`.
const UNSUPPORTED: [&str; 3] = ["cache_control", "context_management", "fallbacks"];

/// The conversations, by the id of their last response.
#[derive(Debug, Default)]
pub(super) struct ThreadStore {
    threads: Mutex<Threads>,
}

#[derive(Debug, Default)]
struct Threads {
    by_response: HashMap<String, StoredTurn>,
    /// The ids, oldest first.
    order: VecDeque<String>,
    bytes: usize,
}

/// The conversation up to a response.
#[derive(Debug)]
struct StoredTurn {
    key: String,
    /// JSON object with `messages` and what else a thread keeps; `None` once the
    /// response has been continued.
    conversation: Option<String>,
}

/// The turn of a thread that a request asks for.
#[derive(Debug)]
pub(super) struct ThreadTurn {
    key: String,
    /// The response that it continues.
    previous: Option<String>,
    /// The whole conversation without the answer.
    conversation: Map<String, Value>,
}

/// Why a request of a thread is refused.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum ThreadProblem {
    #[error(
        "No usable Thread state was found for `previous_message_id`. Replay the full conversation \
         with `thread: {{\"type\": \"create\"}}`."
    )]
    NotFound,
    #[error("The response that `previous_message_id` names has already been continued.")]
    AlreadyContinued,
    #[error("{0}: differs from the value stored with the Thread")]
    Changed(&'static str),
    #[error("{0}: is not supported together with thread")]
    Unsupported(&'static str),
}

impl ThreadProblem {
    /// The code of the API's error.
    pub(super) fn code(&self) -> &'static str {
        match self {
            ThreadProblem::NotFound => "thread_not_found",
            ThreadProblem::AlreadyContinued => "thread_already_continued",
            ThreadProblem::Changed(_) => "thread_fingerprint_mismatch",
            ThreadProblem::Unsupported(_) => "thread_unsupported_request",
        }
    }
}

impl ThreadStore {
    /// Completes a request that continues a thread, and returns the turn if the
    /// request has one.
    ///
    /// # Errors
    /// 404 when the response to continue is unknown; 400 when it has been continued or
    /// the request changes what the thread keeps.
    pub(super) fn open(
        &self,
        key: &str,
        request: &mut Map<String, Value>,
    ) -> Result<Option<ThreadTurn>, ThreadProblem> {
        let Some(thread) = request.get("thread").and_then(Value::as_object) else {
            return Ok(None);
        };
        let previous = thread.get("previous_message_id").and_then(Value::as_str);
        let previous = previous.map(str::to_owned);
        if let Some(previous) = &previous {
            let stored = self.threads.lock().conversation(key, previous)?;
            complete(request, stored)?;
        }
        let kept = CREATE_ONLY.iter().chain(&["messages"]);
        let conversation = kept
            .filter_map(|name| Some(((*name).to_owned(), request.get(*name)?.clone())))
            .collect();
        Ok(Some(ThreadTurn {
            key: key.to_owned(),
            previous,
            conversation,
        }))
    }

    /// Keeps a turn with its answer, by the id of the response.
    ///
    /// # Errors
    /// 400 when another request has continued the same response meanwhile.
    pub(super) fn keep(
        &self,
        turn: &ThreadTurn,
        response: &str,
        content: Value,
    ) -> Result<(), ThreadProblem> {
        let mut conversation = turn.conversation.clone();
        if let Some(Value::Array(messages)) = conversation.get_mut("messages") {
            messages.push(json!({"role": "assistant", "content": content}));
        }
        let conversation = Value::Object(conversation).to_string();
        let mut threads = self.threads.lock();
        if let Some(previous) = &turn.previous {
            threads.conversation(&turn.key, previous)?;
            threads.close(previous);
        }
        threads.insert(response, &turn.key, conversation);
        Ok(())
    }
}

impl Threads {
    /// The conversation up to a response.
    fn conversation(&self, key: &str, response: &str) -> Result<Map<String, Value>, ThreadProblem> {
        let stored = self.by_response.get(response).filter(|it| it.key == key);
        match &stored.ok_or(ThreadProblem::NotFound)?.conversation {
            Some(json) => Ok(serde_json::from_str(json).unwrap_or_default()),
            None => Err(ThreadProblem::AlreadyContinued),
        }
    }

    /// Forgets what came before a response, which cannot be continued any more.
    fn close(&mut self, response: &str) {
        if let Some(stored) = self.by_response.get_mut(response) {
            self.bytes -= stored.conversation.take().map_or(0, |it| it.len());
        }
    }

    fn insert(&mut self, response: &str, key: &str, conversation: String) {
        self.bytes += conversation.len();
        self.order.push_back(response.to_owned());
        let stored = StoredTurn {
            key: key.to_owned(),
            conversation: Some(conversation),
        };
        self.by_response.insert(response.to_owned(), stored);
        while self.order.len() > MAX_KEPT || self.bytes > MAX_BYTES {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            self.close(&oldest);
            self.by_response.remove(&oldest);
        }
    }
}

/// Checks what else a request with a thread asks for.
///
/// # Errors
/// 400 for what cannot be combined with it.
pub(super) fn check(request: &Map<String, Value>) -> Result<(), ThreadProblem> {
    let is_set = |name: &str| request.get(name).is_some_and(|it| !it.is_null());
    match UNSUPPORTED.iter().find(|name| is_set(name)) {
        Some(field) if is_set("thread") => Err(ThreadProblem::Unsupported(field)),
        _ => Ok(()),
    }
}

/// Puts the stored conversation before the new messages of a request.
fn complete(
    request: &mut Map<String, Value>,
    mut stored: Map<String, Value>,
) -> Result<(), ThreadProblem> {
    let is_other =
        |name: &&&str| request.contains_key(**name) && request.get(**name) != stored.get(**name);
    if let Some(changed) = CREATE_ONLY.iter().find(is_other) {
        return Err(ThreadProblem::Changed(changed));
    }
    let added = request.remove("messages");
    if let (Some(Value::Array(messages)), Some(Value::Array(added))) =
        (stored.get_mut("messages"), added)
    {
        messages.extend(added);
    }
    request.extend(stored);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(thread: Value, text: &str) -> Map<String, Value> {
        let message = json!({"role": "user", "content": text});
        let request = json!({"thread": thread, "messages": [message]});
        request.as_object().unwrap().clone()
    }

    fn after(previous: &str) -> Value {
        json!({"type": "continue", "previous_message_id": previous})
    }

    #[test]
    fn a_thread_is_continued_once_by_its_key() {
        let store = ThreadStore::default();
        let mut first = request(json!({"type": "create"}), "one");
        first.insert("system".to_owned(), json!("rules"));
        let turn = store.open("key", &mut first).unwrap().unwrap();
        store.keep(&turn, "msg_1", json!("two")).unwrap();

        let mut second = request(after("msg_1"), "three");
        let turn = store.open("key", &mut second).unwrap().unwrap();
        assert_eq!(second["system"], json!("rules"));
        assert_eq!(second["messages"].as_array().unwrap().len(), 3);
        let raced = store
            .open("key", &mut request(after("msg_1"), "x"))
            .unwrap()
            .unwrap();
        store.keep(&turn, "msg_2", json!("four")).unwrap();
        for late in [
            store.keep(&raced, "msg_3", json!("x")).unwrap_err(),
            store
                .open("key", &mut request(after("msg_1"), "x"))
                .unwrap_err(),
        ] {
            assert_eq!(late, ThreadProblem::AlreadyContinued);
        }
        let stranger = store.open("other", &mut request(after("msg_2"), "x"));
        assert_eq!(stranger.unwrap_err(), ThreadProblem::NotFound);
        let mut changed = request(after("msg_2"), "x");
        changed.insert("system".to_owned(), json!("other rules"));
        let changed = store.open("key", &mut changed).unwrap_err();
        assert_eq!(changed, ThreadProblem::Changed("system"));
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let store = ThreadStore::default();
        let large = "x".repeat(MAX_BYTES / 4);
        for (text, count) in [("small", MAX_KEPT + 10), (large.as_str(), 10)] {
            let turn = store.open("key", &mut request(json!({"type": "create"}), text));
            let turn = turn.unwrap().unwrap();
            for index in 0..count {
                store
                    .keep(&turn, &format!("msg_{}_{index}", text.len()), json!("x"))
                    .unwrap();
            }
            let threads = store.threads.lock();
            assert!(threads.order.len() <= MAX_KEPT && threads.bytes <= MAX_BYTES);
            assert_eq!(threads.order.len(), threads.by_response.len());
            assert!(!threads.order.is_empty());
        }
    }
}

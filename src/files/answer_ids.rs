//! Finds in an answer what the API has made for the caller, with the ids to name it.

use super::named_ids::NamedIds;
use crate::{
    claude::{
        answer::{AnswerBlock, Message},
        batches::{BatchOutcome, BatchResult},
        event::StreamEvent,
        rest::{Container, Rest},
    },
    upstream::OwnedKind,
};
use jiff::Timestamp;

/// What the type of a result ends with in which a tool has made files.
const RESULT: &str = "code_execution_tool_result";

/// What an answer, or a part of it, has made.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct AnswerIds(pub Vec<NewId>);

/// Something that the API has made.
#[derive(Debug, PartialEq, Eq)]
pub struct NewId {
    /// What it is.
    pub kind: OwnedKind,
    /// Its id.
    pub id: String,
    /// When it ends, in seconds since 1970, if the API says it.
    pub expires: Option<u64>,
}

// === impl AnswerIds ===

impl AnswerIds {
    /// Those of a whole answer. With `has_thread`, it can be continued by its own id.
    pub fn of_message(message: &Message, has_thread: bool) -> Self {
        let mut ids = AnswerIds::default();
        ids.add_end(message.rest.as_deref());
        ids.add_thread(message, has_thread);
        for block in &message.content {
            ids.add_block(block);
        }
        ids
    }

    /// Those of an event of a streamed answer.
    pub fn of_event(event: &StreamEvent, has_thread: bool) -> Self {
        let mut ids = AnswerIds::default();
        match event {
            StreamEvent::MessageStart(message) => {
                ids.add_end(message.rest.as_deref());
                ids.add_thread(message, has_thread);
            }
            StreamEvent::BlockStart { block, .. } => ids.add_block(block),
            StreamEvent::MessageDelta(end) => ids.add_end(end.rest.as_deref()),
            _ => {}
        }
        ids
    }

    /// Those of a result of a batch.
    pub fn of_result(result: &BatchResult) -> Self {
        match &result.outcome {
            BatchOutcome::Succeeded(message) => AnswerIds::of_message(message, false),
            _ => AnswerIds::default(),
        }
    }

    fn add(&mut self, kind: OwnedKind, id: &str, expires: Option<u64>) {
        if !id.is_empty() {
            let id = id.to_owned();
            self.0.push(NewId { kind, id, expires });
        }
    }

    fn add_end(&mut self, rest: Option<&Rest>) {
        if let Some(Container { id, expires_at, .. }) = rest.and_then(Rest::container) {
            let expires = expires_at.and_then(|time| time.parse::<Timestamp>().ok());
            let expires = expires.and_then(|time| u64::try_from(time.as_second()).ok());
            self.add(OwnedKind::Container, &id, expires);
        }
    }

    fn add_thread(&mut self, message: &Message, has_thread: bool) {
        if has_thread {
            self.add(OwnedKind::Thread, &message.id, None);
        }
    }

    fn add_block(&mut self, block: &AnswerBlock) {
        match block {
            AnswerBlock::ContainerUpload { file_id, .. } => {
                self.add(OwnedKind::File, file_id, None);
            }
            AnswerBlock::Other { kind, json } if kind.ends_with(RESULT) => {
                for id in NamedIds::of_result(json.get()) {
                    self.add(OwnedKind::File, &id, None);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_made_is_found_wherever_it_is() {
        let answer = br#"{"id":"msg_1","content":[
            {"type":"container_upload","file_id":"file_1"},
            {"type":"bash_code_execution_tool_result","content":
                {"type":"bash_code_execution_result","content":[{"type":"bash_code_execution_output","file_id":"file_2"}]}}],
            "container":{"id":"container_1","expires_at":"1970-01-01T00:01:00Z"}}"#;
        let message = Message::read(answer).unwrap();
        let found = |has_thread| {
            let AnswerIds(ids) = AnswerIds::of_message(&message, has_thread);
            let ids = ids.into_iter();
            ids.map(|it| (it.id, it.expires)).collect::<Vec<_>>()
        };
        let made = [
            ("container_1".to_owned(), Some(60)),
            ("file_1".to_owned(), None),
            ("file_2".to_owned(), None),
        ];
        assert_eq!(found(false), made);
        assert!(found(true).contains(&("msg_1".to_owned(), None)));
    }
}

//! Which calls should be made with the same API key.
//!
//! With keys of several accounts, thinking blocks, uploaded files and prompt
//! caches belong to the account that made them. So all turns of a conversation
//! are made with one key, as long as it can be used. What stays the same in a
//! conversation is hashed: the tenant, the model, the system prompt, the tools
//! and the first user message; or the name that the caller gives it.
//!
//! Each key has a score for each hash, and the highest score wins (rendezvous
//! hashing): a new key takes its share of the conversations, and no other
//! conversation moves. The hash has no random seed, and keys are known by their
//! fingerprints, so that all replicas choose the same key, also after a restart.

use crate::claude::request::{
    Content, DocumentSource, ImageSource, InputBlock, MessagesRequest, Role, SystemPrompt,
};

/// How much of each text is hashed, in bytes, besides its length: longer texts
/// that begin alike and are as long share a key.
const HASHED: usize = 4096;

/// What a call has in common with the calls that should use the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyAffinity(u64);

/// What decides the API key of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChoice {
    /// The conversation: its turns belong together.
    Conversation,
    /// The prompt before the first message, which the account caches: calls
    /// with different texts belong together.
    CachedPrefix,
}

// === impl KeyAffinity ===

impl KeyAffinity {
    /// The affinity of a conversation that the caller has named.
    pub fn named(tenant: Option<&str>, name: &str) -> Self {
        let mut hash = Fnv::default();
        hash.text(tenant.unwrap_or_default());
        hash.text(name);
        KeyAffinity(hash.0)
    }

    /// The affinity of a request.
    pub fn of(tenant: Option<&str>, request: &MessagesRequest, choice: KeyChoice) -> Self {
        let mut hash = Fnv::default();
        hash.text(tenant.unwrap_or_default());
        hash.text(&request.model);
        match &request.system {
            None => {}
            Some(SystemPrompt::Text(text)) => hash.text(text),
            Some(SystemPrompt::Blocks(blocks)) => hash.blocks(blocks),
        }
        for tool in &request.tools {
            hash.text(tool.name());
        }
        if choice == KeyChoice::Conversation {
            let mut messages = request.messages.iter();
            match messages.find(|message| message.role == Role::User) {
                None => {}
                Some(first) => hash.content(&first.content),
            }
        }
        KeyAffinity(hash.0)
    }

    /// The score of a key, which `seed` stands for.
    pub fn score(self, seed: u64) -> u64 {
        // The finalizer of SplitMix64: each bit depends on all bits.
        let mut mixed = self.0 ^ seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// FNV-1a: the same in all builds, unlike the hash of the standard library.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// The length separates a text from the next one.
    fn text(&mut self, text: &str) {
        self.bytes(&(text.len() as u64).to_le_bytes());
        self.bytes(&text.as_bytes()[..text.len().min(HASHED)]);
    }

    fn content(&mut self, content: &Content) {
        match content {
            Content::Text(text) => self.text(text),
            Content::Blocks(blocks) => self.blocks(blocks),
        }
    }

    fn blocks(&mut self, blocks: &[InputBlock]) {
        for block in blocks {
            match block {
                InputBlock::Text { text, .. } => self.text(text),
                InputBlock::Image { source, .. } => match source {
                    ImageSource::Base64 { data, .. } => self.text(data),
                    ImageSource::Url { url } => self.text(url),
                    ImageSource::File { file_id } => self.text(file_id),
                },
                InputBlock::Document { source, .. } => match source {
                    DocumentSource::Base64 { data, .. } | DocumentSource::Text { data, .. } => {
                        self.text(data);
                    }
                    DocumentSource::Url { url } => self.text(url),
                    DocumentSource::File { file_id } => self.text(file_id),
                    DocumentSource::Content { content } => self.content(content),
                },
                InputBlock::SearchResult { content, .. } => self.blocks(content),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(turns: &[&str]) -> MessagesRequest {
        let turns = turns.iter().enumerate().map(|(index, text)| {
            let role = if index % 2 == 0 { "user" } else { "assistant" };
            json!({"role": role, "content": text})
        });
        let turns: Vec<_> = turns.collect();
        let body = json!({"model": "m", "max_tokens": 1, "system": "s", "messages": turns});
        serde_json::from_value(body).unwrap()
    }

    fn of(turns: &[&str], choice: KeyChoice) -> KeyAffinity {
        KeyAffinity::of(Some("t"), &request(turns), choice)
    }

    #[test]
    fn the_turns_of_a_conversation_belong_together() {
        use KeyChoice::{CachedPrefix, Conversation};
        let first = of(&["hello"], Conversation);
        assert_eq!(first, of(&["hello", "hi", "go on"], Conversation));
        assert_ne!(first, of(&["hello!"], Conversation));
        let other = KeyAffinity::of(Some("u"), &request(&["hello"]), Conversation);
        assert_ne!(first, other, "another tenant");
        let prefix = of(&["hello"], CachedPrefix);
        assert_eq!(prefix, of(&["another text"], CachedPrefix));
        let named = KeyAffinity::named(Some("t"), "c");
        assert_eq!(named, KeyAffinity::named(Some("t"), "c"));
        assert_ne!(named, KeyAffinity::named(None, "c"));
    }

    #[test]
    fn it_is_the_same_in_all_replicas() {
        // Replicas of other versions must compute the same value.
        let named = KeyAffinity::named(None, "conversation");
        assert_eq!(format!("{:016x}", named.0), "c092e5420fa347a2");
    }
}

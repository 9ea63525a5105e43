//! Asks Redis what the calls ask, before they are sent to it.
//!
//! A probe of one key would say that a cluster serves while the node of another
//! key does not, or that a single server serves while it is a node of a cluster.
//! Hence keys of many hash tags, which reach each node that has a fair share of
//! the slots, and always the tags of the keys that have failed.

use super::{command::RedisScript, connect::RedisConnection, failure::RedisFailure};
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use std::collections::VecDeque;

/// Number of hash tags that are asked each time. A node with an even share of the
/// slots among 16 is missed once in 60 times, until a call asks for one of its
/// keys.
const TAGS: usize = 64;

/// Maximum number of failed keys whose tags are asked too.
const MAX_SUSPECTS: usize = 16;

/// How many are asked at the same time.
const AT_ONCE: usize = 16;

/// What is asked, and the keys that have failed.
#[derive(Debug)]
pub struct RedisProbe {
    script: RedisScript,
    suspects: Mutex<VecDeque<String>>,
}

impl RedisProbe {
    pub fn new() -> Self {
        RedisProbe {
            script: RedisScript::new(include_str!("probe.lua")),
            suspects: Mutex::default(),
        }
    }

    /// Remembers a key that has failed.
    pub fn suspect(&self, key: &str) {
        let tag = hash_tag(key);
        let mut suspects = self.suspects.lock();
        if suspects.iter().any(|it| it == tag) {
            return;
        }
        if suspects.len() == MAX_SUSPECTS {
            suspects.pop_front();
        }
        suspects.push_back(tag.to_owned());
    }

    /// Asks, and forgets the failed keys when all is well.
    ///
    /// # Errors
    /// The first failure.
    pub async fn ask(
        &self,
        connection: &RedisConnection,
        is_cluster: bool,
    ) -> Result<(), RedisFailure> {
        let suspects: Vec<String> = self.suspects.lock().iter().cloned().collect();
        let tags = (0..TAGS).map(|number| number.to_string());
        let mut answers = stream::iter(suspects.iter().cloned().chain(tags))
            .map(|tag| self.ask_one(connection.clone(), tag))
            .buffer_unordered(AT_ONCE);
        while let Some(answer) = answers.next().await {
            answer.map_err(|error| RedisFailure::of(&error, is_cluster))?;
        }
        self.suspects.lock().retain(|it| !suspects.contains(it));
        Ok(())
    }

    async fn ask_one(
        &self,
        connection: RedisConnection,
        tag: String,
    ) -> Result<(), redis::RedisError> {
        let key = |kind: &str| format!("claude-grpc:{{{tag}}}:probe-{kind}");
        let more = [key("set"), key("text")];
        let command = self.script.on(&key("hash"), &[&more[0], &more[1]]);
        command.run(connection).await
    }
}

/// What decides on the slot of a key: the part in its first braces, or all of it.
fn hash_tag(key: &str) -> &str {
    let tag = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    match tag {
        Some((tag, _)) if !tag.is_empty() => tag,
        _ => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_what_a_cluster_hashes() {
        for (key, tag) in [
            ("claude-grpc:{a}:usage", "a"),
            ("claude-grpc:nonce", "claude-grpc:nonce"),
            ("a{}b", "a{}b"),
            ("a{b", "a{b"),
            ("a{b}{c}", "b"),
        ] {
            assert_eq!(hash_tag(key), tag);
        }
    }

    /// A command that no probe runs could be missing in an ACL unnoticed.
    #[test]
    fn the_probe_runs_each_command_that_a_script_runs() {
        let commands = |code: &str| -> Vec<String> {
            let calls = code.split("redis.call('").skip(1);
            calls
                .map(|it| it.split('\'').next().unwrap().to_owned())
                .collect()
        };
        let probed = commands(include_str!("probe.lua"));
        for code in [
            include_str!("../access/limits/take.lua"),
            include_str!("../access/limits/correct.lua"),
            include_str!("../access/limits/note.lua"),
            include_str!("../batches/kept/shared/begin.lua"),
            include_str!("../batches/kept/shared/add.lua"),
            include_str!("../batches/kept/shared/take_turn.lua"),
            include_str!("../batches/kept/shared/extend_turn.lua"),
            include_str!("../batches/kept/shared/end_turn.lua"),
            include_str!("../batches/kept/shared/replace.lua"),
            include_str!("../batches/kept/shared/delete.lua"),
            include_str!("../batches/kept/shared/note_tenant.lua"),
            include_str!("../batches/kept/shared/tenants.lua"),
            include_str!("../upstream/pacing/shared/quota.lua"),
            include_str!("../upstream/pacing/shared/admit.lua"),
            include_str!("../upstream/pacing/shared/settle.lua"),
            include_str!("../upstream/pacing/shared/observe.lua"),
            include_str!("../files/shared/tenant.lua"),
            include_str!("../files/shared/room.lua"),
            include_str!("../files/shared/put.lua"),
            include_str!("../files/shared/forget.lua"),
            include_str!("../files/shared/list.lua"),
            include_str!("../files/shared/claim.lua"),
            include_str!("../files/shared/release.lua"),
            include_str!("../files/shared/end.lua"),
            include_str!("../files/shared/ended.lua"),
        ] {
            for command in commands(code) {
                assert!(probed.contains(&command), "{command}");
            }
        }
    }
}

//! What is sent to Redis: a command, or a script by its hash.

use super::connect::RedisConnection;
use redis::{Arg, Cmd, ErrorKind, FromRedisValue, RedisError, ServerErrorKind, ToRedisArgs};
use std::sync::Arc;

/// A script. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct RedisScript {
    code: Arc<str>,
    hash: Arc<str>,
}

/// One command, of keys that are all in the slot of the first.
#[derive(Debug, Clone)]
pub struct RedisCommand {
    command: Cmd,
    key: String,
    script: Option<RedisScript>,
}

// === impl RedisScript ===

impl RedisScript {
    /// A script with this code.
    pub fn new(code: &str) -> Self {
        RedisScript {
            code: Arc::from(code),
            hash: Arc::from(redis::Script::new(code).get_hash()),
        }
    }

    /// Runs the script on keys. In a cluster, they must share a hash tag.
    pub fn on(&self, key: &str, more: &[&str]) -> RedisCommand {
        let mut command = redis::cmd("EVALSHA");
        command
            .arg(&*self.hash)
            .arg(1 + more.len())
            .arg(key)
            .arg(more);
        RedisCommand {
            command,
            key: key.to_owned(),
            script: Some(self.clone()),
        }
    }
}

// === impl RedisCommand ===

impl RedisCommand {
    /// A command that has one key, as its first argument.
    pub fn new(name: &str, key: &str) -> Self {
        let mut command = redis::cmd(name);
        command.arg(key);
        RedisCommand {
            command,
            key: key.to_owned(),
            script: None,
        }
    }

    /// Appends an argument.
    pub fn arg(&mut self, arg: impl ToRedisArgs) -> &mut Self {
        self.command.arg(arg);
        self
    }

    /// The first key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Runs it. A node that does not know the script, because it is new or has
    /// taken over, gets it with the command: in a cluster, `SCRIPT LOAD` would go
    /// to all nodes, and fail when one of them does.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        mut connection: RedisConnection,
    ) -> Result<T, RedisError> {
        let answer = connection.run(&self.command).await;
        let unknown = ErrorKind::Server(ServerErrorKind::NoScript);
        match (answer, &self.script) {
            (Err(error), Some(script)) if error.kind() == unknown => {
                let mut with_code = redis::cmd("EVAL");
                with_code.arg(&*script.code);
                for arg in self.command.args_iter().skip(2) {
                    if let Arg::Simple(bytes) = arg {
                        with_code.arg(bytes);
                    }
                }
                connection.run(&with_code).await
            }
            (answer, _) => answer,
        }
    }
}

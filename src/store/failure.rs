//! Which cause an error of Redis has, by its own word or by that of the library.

use super::failure_kind::RedisFailureKind;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use std::{error::Error as _, fmt, path::Path};

/// Maximum number of characters of Redis's own words in a log line.
const MAX_DETAIL: usize = 200;

/// Why Redis does not serve.
#[derive(Debug, Clone)]
pub struct RedisFailure {
    /// The kind.
    pub kind: RedisFailureKind,
    /// Redis's own words, or those of the system, if they say more.
    pub detail: Option<String>,
}

// === impl RedisFailure ===

impl RedisFailure {
    /// The failure of a command, or of a connection, to Redis; `is_cluster` where
    /// it is addressed as one.
    pub fn of(error: &RedisError, is_cluster: bool) -> RedisFailure {
        use RedisFailureKind as Kind;
        let failure = RedisFailure::from(error);
        let kind = match failure.kind {
            Kind::IsCluster if is_cluster => Kind::Moving,
            // Its first question is which node has which slot.
            Kind::CommandRefused if is_cluster && failure.says("cluster support disabled") => {
                Kind::NotCluster
            }
            kind => kind,
        };
        RedisFailure { kind, ..failure }
    }

    /// The failure of a question to a sentinel.
    pub fn of_sentinel(error: &RedisError) -> RedisFailure {
        use RedisFailureKind as Kind;
        let failure = RedisFailure::from(error);
        let kind = match failure.kind {
            Kind::PasswordRequired | Kind::WrongPassword | Kind::PermissionDenied => {
                Kind::SentinelLogin
            }
            // A server knows no such command.
            Kind::CommandRefused => Kind::NotSentinel,
            kind => kind,
        };
        RedisFailure { kind, ..failure }
    }

    /// A file of `limits.redis` that cannot be used.
    pub fn of_file(key: &str, path: &Path, problem: &str) -> RedisFailure {
        RedisFailure {
            kind: RedisFailureKind::File,
            detail: Some(format!("limits.redis.{key} {}: {problem}", path.display())),
        }
    }

    fn says(&self, text: &str) -> bool {
        self.detail.as_deref().is_some_and(|it| it.contains(text))
    }
}

impl fmt::Display for RedisFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.says())?;
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl From<RedisFailureKind> for RedisFailure {
    fn from(kind: RedisFailureKind) -> Self {
        RedisFailure { kind, detail: None }
    }
}

impl From<RedisError> for RedisFailure {
    fn from(error: RedisError) -> Self {
        RedisFailure::from(&error)
    }
}

impl From<&RedisError> for RedisFailure {
    fn from(error: &RedisError) -> Self {
        // A cluster that cannot be connected to has the cause as a text only.
        let text = match (error.code(), error.detail()) {
            (Some(code), Some(detail)) => format!("{code} {detail}"),
            (Some(code), None) => code.to_owned(),
            (None, Some(detail)) => detail.to_owned(),
            (None, None) => error.source().map(ToString::to_string).unwrap_or_default(),
        };
        let detail: String = text.chars().take(MAX_DETAIL).collect();
        RedisFailure {
            kind: kind(error, &text),
            detail: (!detail.is_empty()).then_some(detail),
        }
    }
}

/// The kind of an error: by the library's word for it, or by Redis's.
fn kind(error: &RedisError, text: &str) -> RedisFailureKind {
    use RedisFailureKind as Kind;
    match error.kind() {
        ErrorKind::AuthenticationFailed => return Kind::WrongPassword,
        ErrorKind::Server(ServerErrorKind::ReadOnly) => return Kind::ReadOnly,
        ErrorKind::Server(ServerErrorKind::BusyLoading) => return Kind::Loading,
        ErrorKind::Server(ServerErrorKind::ClusterDown) => return Kind::ClusterDown,
        ErrorKind::Server(ServerErrorKind::MasterDown) => return Kind::MasterDown,
        ErrorKind::Server(ServerErrorKind::TryAgain) => return Kind::Moving,
        ErrorKind::Server(ServerErrorKind::NoPerm) => return Kind::PermissionDenied,
        ErrorKind::Server(
            ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::CrossSlot,
        ) => return Kind::IsCluster,
        _ if error.is_timeout() => return Kind::Timeout,
        _ => {}
    }
    let words = [
        ("Password authentication failed", Kind::WrongPassword),
        ("WRONGPASS", Kind::WrongPassword),
        ("NOAUTH", Kind::PasswordRequired),
        ("NOPERM", Kind::PermissionDenied),
        ("user has no permissions", Kind::PermissionDenied),
        (
            "The user executing the script can't",
            Kind::PermissionDenied,
        ),
        ("LOADING", Kind::Loading),
        ("CLUSTERDOWN", Kind::ClusterDown),
        ("cluster support disabled", Kind::CommandRefused),
        ("DB index is out of range", Kind::UnknownDatabase),
        ("SELECT is not allowed in cluster mode", Kind::IsCluster),
        ("OOM ", Kind::OutOfMemory),
        ("NOREPLICAS", Kind::WritesRefused),
        ("MISCONF", Kind::WritesRefused),
        ("BUSY ", Kind::Busy),
        ("max number of clients", Kind::TooManyClients),
        ("ertificate", Kind::Tls),
        ("InvalidContentType", Kind::Tls),
        ("HandshakeFailure", Kind::Tls),
        ("timed out", Kind::Timeout),
    ];
    let known = words.iter().find(|(word, _)| text.contains(word));
    match (known, error.kind()) {
        (Some((_, kind)), _) => *kind,
        (None, ErrorKind::Server(ServerErrorKind::ResponseError) | ErrorKind::Extension) => {
            Kind::CommandRefused
        }
        (None, ErrorKind::UnexpectedReturnType) => Kind::CommandRefused,
        (None, ErrorKind::Io | ErrorKind::ClusterConnectionNotFound) => Kind::Unreachable,
        // Certificate and key do not match; everything else of it was checked.
        (None, ErrorKind::InvalidClientConfig) => Kind::Tls,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RedisFailureKind as Kind;

    /// The error that Redis answers with a line.
    fn answered(line: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes());
        value.and_then(redis::Value::extract_error).unwrap_err()
    }

    #[test]
    fn each_answer_of_redis_has_its_cause() {
        for (line, one, cluster) in [
            ("MOVED 3999 10.0.0.1:6379", Kind::IsCluster, Kind::Moving),
            ("ASK 3999 10.0.0.1:6379", Kind::IsCluster, Kind::Moving),
            (
                "CROSSSLOT Keys in request don't hash to the same slot",
                Kind::IsCluster,
                Kind::Moving,
            ),
            (
                "TRYAGAIN Multiple keys request during rehashing of slot",
                Kind::Moving,
                Kind::Moving,
            ),
            (
                "CLUSTERDOWN Hash slot not served",
                Kind::ClusterDown,
                Kind::ClusterDown,
            ),
            (
                "READONLY You can't write against a read only replica.",
                Kind::ReadOnly,
                Kind::ReadOnly,
            ),
            (
                "LOADING Redis is loading the dataset in memory",
                Kind::Loading,
                Kind::Loading,
            ),
            (
                "MASTERDOWN Link with MASTER is down",
                Kind::MasterDown,
                Kind::MasterDown,
            ),
            (
                "NOAUTH Authentication required.",
                Kind::PasswordRequired,
                Kind::PasswordRequired,
            ),
            (
                "WRONGPASS invalid username-password pair",
                Kind::WrongPassword,
                Kind::WrongPassword,
            ),
            (
                "NOPERM this user has no permissions to run 'evalsha'",
                Kind::PermissionDenied,
                Kind::PermissionDenied,
            ),
            (
                "ERR The user executing the script can't run this command",
                Kind::PermissionDenied,
                Kind::PermissionDenied,
            ),
            (
                "ERR DB index is out of range",
                Kind::UnknownDatabase,
                Kind::UnknownDatabase,
            ),
            (
                "ERR This instance has cluster support disabled",
                Kind::CommandRefused,
                Kind::NotCluster,
            ),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                Kind::OutOfMemory,
                Kind::OutOfMemory,
            ),
            (
                "NOREPLICAS Not enough good replicas to write.",
                Kind::WritesRefused,
                Kind::WritesRefused,
            ),
            (
                "MISCONF Redis is configured to save RDB snapshots",
                Kind::WritesRefused,
                Kind::WritesRefused,
            ),
            (
                "BUSY Redis is busy running a script.",
                Kind::Busy,
                Kind::Busy,
            ),
            (
                "WRONGTYPE Operation against a key",
                Kind::CommandRefused,
                Kind::CommandRefused,
            ),
            (
                "ERR max number of clients reached",
                Kind::TooManyClients,
                Kind::TooManyClients,
            ),
        ] {
            let error = answered(line);
            assert_eq!(RedisFailure::of(&error, false).kind, one, "{line}");
            assert_eq!(RedisFailure::of(&error, true).kind, cluster, "{line}");
        }
    }

    #[test]
    fn only_what_concerns_one_command_is_not_an_outage() {
        let rejected = RedisFailure::of(&answered("WRONGTYPE Operation against a key"), false);
        assert!(!rejected.kind.is_outage());
        let asked = RedisFailure::of_sentinel(&answered("ERR unknown command 'SENTINEL'"));
        assert_eq!(asked.kind, Kind::NotSentinel);
        assert!(asked.kind.is_outage());
    }
}

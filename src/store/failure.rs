//! Why Redis does not serve, told apart: what passes by itself, and what somebody
//! must change. The text of each names the key of the configuration at fault.

use redis::{ErrorKind, RedisError, ServerErrorKind};
use std::{error::Error as _, fmt, path::Path};

/// Maximum number of characters of Redis's own words in a log line.
const MAX_DETAIL: usize = 200;

/// Why Redis does not serve, as one word for a log line or a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisFailureKind {
    /// No connection, or a broken one.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The certificates do not fit, or one side does not speak TLS.
    Tls,
    /// A file of `limits.redis` cannot be used.
    File,
    /// A cluster that is addressed as a single server.
    IsCluster,
    /// A single server that is addressed as a cluster.
    NotCluster,
    /// A server that is addressed as a sentinel.
    NotSentinel,
    /// The sentinels know no master of this name.
    UnknownMaster,
    /// Redis requires a password, and there is none.
    PasswordRequired,
    /// User or password are wrong.
    WrongPassword,
    /// The same at the sentinels.
    SentinelLogin,
    /// The user may not run a command or use a key.
    PermissionDenied,
    /// The database does not exist.
    UnknownDatabase,
    /// A replica, or a master that was demoted.
    ReadOnly,
    /// Redis reads its data.
    Loading,
    /// Slots of the cluster are not served.
    ClusterDown,
    /// A replica that has lost its master.
    MasterDown,
    /// A cluster moves slots.
    Moving,
    /// Redis has no memory left and evicts nothing.
    OutOfMemory,
    /// The master has too few replicas, or cannot write to its disk, and so
    /// accepts no writes.
    WritesRefused,
    /// Another script runs for too long.
    Busy,
    /// Redis has as many connections as it accepts.
    TooManyClients,
    /// An answer that Redis gives for this command only; it serves others.
    CommandRefused,
    /// Anything else.
    Other,
}

/// Why Redis does not serve.
#[derive(Debug, Clone)]
pub struct RedisFailure {
    /// The kind.
    pub kind: RedisFailureKind,
    /// Redis's own words, or those of the system, if they say more.
    pub detail: Option<String>,
}

// === impl RedisFailureKind ===

impl RedisFailureKind {
    /// As a value of a field.
    pub fn name(self) -> &'static str {
        use RedisFailureKind as Kind;
        match self {
            Kind::Unreachable => "unreachable",
            Kind::Timeout => "timeout",
            Kind::Tls => "tls",
            Kind::File => "file",
            Kind::IsCluster => "is_cluster",
            Kind::NotCluster => "not_cluster",
            Kind::NotSentinel => "not_sentinel",
            Kind::UnknownMaster => "unknown_master",
            Kind::PasswordRequired => "password_required",
            Kind::WrongPassword => "wrong_password",
            Kind::SentinelLogin => "sentinel_login",
            Kind::PermissionDenied => "permission_denied",
            Kind::UnknownDatabase => "unknown_database",
            Kind::ReadOnly => "read_only",
            Kind::Loading => "loading",
            Kind::ClusterDown => "cluster_down",
            Kind::MasterDown => "master_down",
            Kind::Moving => "moving",
            Kind::OutOfMemory => "out_of_memory",
            Kind::WritesRefused => "writes_refused",
            Kind::Busy => "busy",
            Kind::TooManyClients => "too_many_clients",
            Kind::CommandRefused => "command_refused",
            Kind::Other => "other",
        }
    }

    /// What is wrong, and what to do about what does not pass by itself.
    pub fn says(self) -> &'static str {
        use RedisFailureKind as Kind;
        match self {
            Kind::Unreachable => "redis cannot be reached",
            Kind::Timeout => "redis does not answer in time",
            Kind::Tls => {
                "TLS with redis fails: check the scheme of limits.store (rediss has TLS), limits.redis.ca_file, and the names in the certificate of redis"
            }
            Kind::File => "failed to read a file of limits.redis",
            Kind::IsCluster => {
                "limits.store names a cluster as a single server: must be redis+cluster:// instead"
            }
            Kind::NotCluster => {
                "limits.store names a single server as a cluster: must be redis:// instead"
            }
            Kind::NotSentinel => {
                "limits.store names a server that is not a sentinel: redis+sentinel:// must name the sentinels"
            }
            Kind::UnknownMaster => {
                "the sentinels know no master of the name in limits.store: must be that of their sentinel monitor line"
            }
            Kind::PasswordRequired => {
                "redis requires a password: set limits.redis.password_file, or user and password in limits.store"
            }
            Kind::WrongPassword => {
                "redis rejects the login: check the user in limits.store and the password there or in limits.redis.password_file"
            }
            Kind::SentinelLogin => {
                "the sentinels reject the login: check limits.redis.sentinel_user and limits.redis.sentinel_password_file"
            }
            Kind::PermissionDenied => {
                "the ACL of the user in limits.store is too narrow: docs/operations.md lists the commands and keys that are needed"
            }
            Kind::UnknownDatabase => "redis has no database with the number in limits.store",
            Kind::ReadOnly => "redis is a replica and accepts no writes",
            Kind::Loading => "redis is loading its data",
            Kind::ClusterDown => "the redis cluster does not serve all slots",
            Kind::MasterDown => "redis has lost its master",
            Kind::Moving => "the redis cluster is moving slots",
            Kind::OutOfMemory => {
                "redis is out of memory: raise maxmemory, or set a policy that evicts"
            }
            Kind::WritesRefused => {
                "redis accepts no writes: too few replicas are connected, or it cannot write to its disk"
            }
            Kind::Busy => "redis is busy with a script of somebody else",
            Kind::TooManyClients => "redis accepts no more connections: raise maxclients",
            Kind::CommandRefused => "redis rejects a command",
            Kind::Other => "redis fails",
        }
    }

    /// Whether Redis as a whole does not serve. Otherwise, only the one command
    /// failed, and asking less would change nothing.
    pub fn is_outage(self) -> bool {
        self != RedisFailureKind::CommandRefused
    }
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

//! The kinds of reasons why Redis does not serve: those that pass, and those that
//! an operator must fix. The text of each names the key of the configuration at
//! fault.

/// Why Redis does not serve, as one word for a log line or a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
                "redis is out of memory: raise maxmemory, or without batches.shared set a policy that evicts"
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

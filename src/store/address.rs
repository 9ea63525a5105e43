//! What a Redis URL says: how Redis is run, where its nodes are, and as whom to
//! log in.
//!
//! The URLs are those of redis-cli, and for Sentinel and Cluster a scheme with a
//! suffix and several addresses, which no URL parser knows: hence this one. No
//! error quotes the URL, which may contain a password.

use percent_encoding::percent_decode_str;
use redis::{ConnectionInfo, RedisConnectionInfo};
use secrecy::SecretString;
use thiserror::Error;

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// What is wrong with a Redis URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RedisUrlError {
    /// The scheme is not one of those that are known.
    #[error(
        "must be memory, or a URL with the scheme redis, rediss (TLS), redis+sentinel, rediss+sentinel, redis+cluster, rediss+cluster or unix"
    )]
    Scheme,
    /// A host or port cannot be read.
    #[error("must name its hosts as host:port, several of them separated by commas")]
    Hosts,
    /// Several hosts where only one can be.
    #[error(
        "must name one host; several are for redis+sentinel:// (with the sentinels) or redis+cluster://"
    )]
    OneHost,
    /// The user or the password cannot be read.
    #[error("user and password must be percent-encoded UTF-8")]
    Login,
    /// The database is not a number.
    #[error("the path must be the number of a database, such as /0")]
    Database,
    /// A cluster has one database only.
    #[error("a cluster has the database 0 only: the path must be empty or /0")]
    ClusterDatabase,
    /// The name of the master is missing.
    #[error(
        "the path must name the master as the sentinels know it, such as /mymaster or /mymaster/0"
    )]
    Master,
    /// A query or fragment, of which none is known.
    #[error("unknown part after ? or #")]
    Suffix,
    /// A Unix socket that cannot be read as one.
    #[error("failed to read the path of the Unix socket")]
    Socket,
}

/// How Redis is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisTopology {
    /// One server, at the one host.
    Standalone,
    /// A master of this name, which the sentinels at the hosts know.
    Sentinel {
        /// Name of the master.
        master: String,
    },
    /// A cluster, of which the hosts are some nodes.
    Cluster,
}

/// What a Redis URL says.
#[derive(Debug, Clone)]
pub struct RedisAddress {
    /// How Redis is run.
    pub topology: RedisTopology,
    /// Host and port of each server, sentinel or node. Empty for a Unix socket.
    pub hosts: Vec<(String, u16)>,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// The ACL user; the user `default` if there is none.
    pub user: Option<String>,
    /// The password.
    pub password: Option<SecretString>,
    /// Index of the database.
    pub database: i64,
    /// The whole address, where it is a Unix socket.
    pub socket: Option<Box<ConnectionInfo>>,
}

impl RedisAddress {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(url: &str) -> Result<RedisAddress, RedisUrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(RedisUrlError::Scheme)?;
        if matches!(scheme, "unix" | "redis+unix") {
            return unix(url);
        }
        let (base, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        let tls = match base {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err(RedisUrlError::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(RedisUrlError::Suffix);
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (login, hosts),
            None => ("", authority),
        };
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (decoded(user)?, decoded(password)?),
            None => (decoded(login)?, None),
        };
        let path = path.trim_end_matches('/');
        let (topology, database) = match kind {
            "" => (RedisTopology::Standalone, number(path)?),
            "sentinel" => {
                let (master, database) = path.split_once('/').unwrap_or((path, ""));
                let master = decoded(master)?.ok_or(RedisUrlError::Master)?;
                (RedisTopology::Sentinel { master }, number(database)?)
            }
            "cluster" if number(path)? != 0 => return Err(RedisUrlError::ClusterDatabase),
            "cluster" => (RedisTopology::Cluster, 0),
            _ => return Err(RedisUrlError::Scheme),
        };
        let port = match topology {
            RedisTopology::Sentinel { .. } => SENTINEL_PORT,
            _ => REDIS_PORT,
        };
        let hosts = hosts.split(',').map(|it| host(it, port));
        let hosts = hosts.collect::<Option<Vec<_>>>();
        let hosts = hosts.ok_or(RedisUrlError::Hosts)?;
        if topology == RedisTopology::Standalone && hosts.len() > 1 {
            return Err(RedisUrlError::OneHost);
        }
        Ok(RedisAddress {
            topology,
            hosts,
            tls,
            user,
            password: password.map(SecretString::from),
            database,
            socket: None,
        })
    }
}

fn unix(url: &str) -> Result<RedisAddress, RedisUrlError> {
    let socket: ConnectionInfo = url.parse().map_err(|_| RedisUrlError::Socket)?;
    let settings: &RedisConnectionInfo = socket.redis_settings();
    Ok(RedisAddress {
        topology: RedisTopology::Standalone,
        hosts: Vec::new(),
        tls: false,
        user: settings.username().map(str::to_owned),
        password: settings.password().map(SecretString::from),
        database: settings.db(),
        socket: Some(Box::new(socket)),
    })
}

/// Percent-decoded text; `None` when it is empty.
fn decoded(text: &str) -> Result<Option<String>, RedisUrlError> {
    let text = percent_decode_str(text).decode_utf8();
    let text = text.map_err(|_| RedisUrlError::Login)?;
    Ok((!text.is_empty()).then(|| text.into_owned()))
}

fn number(path: &str) -> Result<i64, RedisUrlError> {
    match path {
        "" => Ok(0),
        _ => path
            .parse::<u16>()
            .map(i64::from)
            .map_err(|_| RedisUrlError::Database),
    }
}

/// Host and port; an IPv6 address is in brackets.
fn host(text: &str, default_port: u16) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port)
        }
        None => match text.find(':') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        },
    };
    let port = match port {
        "" => default_port,
        _ => port.strip_prefix(':')?.parse().ok()?,
    };
    let is_host = !host.is_empty() && !host.contains(|it: char| it.is_whitespace() || it == '@');
    (is_host && port != 0).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    fn parsed(url: &str) -> RedisAddress {
        RedisAddress::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    #[test]
    fn a_url_says_topology_hosts_login_and_database() {
        let one = parsed("rediss://app:p%40ss%2Fword@redis.example:6380/3");
        assert_eq!(one.topology, RedisTopology::Standalone);
        assert_eq!(one.hosts, [("redis.example".to_owned(), 6380)]);
        assert!(one.tls);
        assert_eq!(one.user.as_deref(), Some("app"));
        assert_eq!(one.password.unwrap().expose_secret(), "p@ss/word");
        assert_eq!(one.database, 3);

        let plain = parsed("redis://:secret@[::1]");
        assert_eq!(plain.hosts, [("::1".to_owned(), 6379)]);
        assert!(!plain.tls && plain.user.is_none() && plain.password.is_some());

        let sentinel = parsed("redis+sentinel://a,b:1,[::1]:2/mymaster/5");
        let master = "mymaster".to_owned();
        assert_eq!(sentinel.topology, RedisTopology::Sentinel { master });
        let hosts = [("a", 26379), ("b", 1), ("::1", 2)];
        assert_eq!(
            sentinel.hosts,
            hosts.map(|(it, port)| (it.to_owned(), port))
        );
        assert_eq!(sentinel.database, 5);

        let cluster = parsed("rediss+cluster://a:7000,b:7001/");
        assert_eq!(cluster.topology, RedisTopology::Cluster);
        assert_eq!(cluster.hosts.len(), 2);

        let socket = parsed("unix:///run/redis.sock?db=2");
        assert!(socket.socket.is_some());
        assert_eq!(socket.database, 2);
    }

    proptest! {
        /// Whatever user, password and hosts are, they are read as they were
        /// written; and nothing that is read makes the parser fail otherwise.
        #[test]
        fn what_is_written_is_read(
            user in "\\PC{0,8}",
            password in "\\PC{0,8}",
            hosts in proptest::collection::vec(("[a-z0-9.-]{1,9}", 1_u16..), 1..4),
            database in 0_u16..,
            noise in ".{0,40}",
        ) {
            let encoded = |it: &str| utf8_percent_encode(it, NON_ALPHANUMERIC).to_string();
            let listed = hosts.iter().map(|(host, port)| format!("{host}:{port}"));
            let listed = listed.collect::<Vec<_>>().join(",");
            let login = format!("{}:{}", encoded(&user), encoded(&password));
            let url = format!("rediss+sentinel://{login}@{listed}/main/{database}");
            let read = RedisAddress::parse(&url).unwrap();
            prop_assert_eq!(read.hosts, hosts);
            prop_assert_eq!(read.user.unwrap_or_default(), user);
            let read_password = read.password.map(|it| it.expose_secret().to_owned());
            prop_assert_eq!(read_password.unwrap_or_default(), password);
            prop_assert_eq!(read.database, i64::from(database));
            let _ = RedisAddress::parse(&noise);
            let _ = RedisAddress::parse(&format!("redis://{noise}"));
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_quoting_it() {
        use RedisUrlError as Wrong;
        for (url, expected) in [
            ("localhost:6379", Wrong::Scheme),
            ("http://hunter2", Wrong::Scheme),
            ("redis+ring://hunter2", Wrong::Scheme),
            ("redis://", Wrong::Hosts),
            ("redis://hunter2:port", Wrong::Hosts),
            ("redis://hunter2:0", Wrong::Hosts),
            ("redis+cluster://a,,hunter2", Wrong::Hosts),
            ("redis://a,hunter2", Wrong::OneHost),
            ("redis://:%ff@hunter2", Wrong::Login),
            ("redis://a/hunter2", Wrong::Database),
            ("redis://a/-1", Wrong::Database),
            ("redis+cluster://hunter2/1", Wrong::ClusterDatabase),
            ("redis+sentinel://hunter2", Wrong::Master),
            ("redis+sentinel://hunter2/m/x", Wrong::Database),
            ("rediss://hunter2#insecure", Wrong::Suffix),
            ("redis://hunter2?db=1", Wrong::Suffix),
        ] {
            let wrong = RedisAddress::parse(url).err();
            assert_eq!(wrong, Some(expected), "{url}");
            assert!(!expected.to_string().contains("hunter2"));
        }
    }
}

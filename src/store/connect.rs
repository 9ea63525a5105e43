//! Connects to Redis, however it is run.
//!
//! A connection is made from scratch each time: from the addresses of the URL,
//! and with the password and the certificates as the files are now. So the same
//! way leads to the server after a restart, to the master that the sentinels have
//! chosen since, and to the present nodes of a cluster. Only a cluster follows its
//! changes itself between that.

use super::{
    address::{RedisAddress, RedisTopology},
    config::RedisConfig,
    failure::RedisFailure,
    failure_kind::RedisFailureKind,
};
use crate::secrets::{SecretError, read_private, read_secret};
use futures::{StreamExt, stream::FuturesUnordered};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo,
    FromRedisValue, IntoConnectionInfo, RedisConnectionInfo, RedisError, TlsCertificates,
    aio::MultiplexedConnection, cluster::ClusterClientBuilder, cluster_async::ClusterConnection,
};
use secrecy::{ExposeSecret, SecretString};
use std::{path::Path, time::Duration};

/// How often a cluster's own connection follows a redirection or reconnects
/// before a command fails.
const CLUSTER_RETRIES: u32 = 3;

/// Pause before a cluster that says "try again" is asked again, in milliseconds.
const CLUSTER_PAUSE: (u64, u64) = (5, 40);

/// A connection. Clones share it.
#[derive(Clone)]
pub enum RedisConnection {
    /// To one server.
    One(MultiplexedConnection),
    /// To the nodes of a cluster.
    Cluster(ClusterConnection),
}

/// The content of the files of [`RedisConfig`].
pub struct RedisFiles {
    password: Option<SecretString>,
    sentinel_password: Option<SecretString>,
    certificates: TlsCertificates,
}

// === impl RedisConnection ===

impl RedisConnection {
    /// Connects. `patience` bounds each connection and each answer.
    ///
    /// # Errors
    /// Why the connection failed.
    pub async fn connect(
        address: &RedisAddress,
        config: &RedisConfig,
        patience: Duration,
    ) -> Result<RedisConnection, RedisFailure> {
        let files = RedisFiles::read(config)?;
        match &address.topology {
            RedisTopology::Standalone => {
                let info = match &address.socket {
                    Some(socket) => (**socket)
                        .clone()
                        .set_redis_settings(login(address, &files)),
                    None => server(address, &address.hosts[0], login(address, &files))?,
                };
                one(info, address.tls, &files, patience).await
            }
            RedisTopology::Sentinel { master } => {
                let found = master_address(address, config, master, &files, patience).await?;
                let info = server(address, &found, login(address, &files))?;
                one(info, address.tls, &files, patience).await
            }
            RedisTopology::Cluster => cluster(address, &files, patience).await,
        }
    }

    /// Runs a command.
    pub(super) async fn run<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, RedisError> {
        match self {
            RedisConnection::One(connection) => command.query_async(connection).await,
            RedisConnection::Cluster(connection) => command.query_async(connection).await,
        }
    }
}

async fn one(
    info: ConnectionInfo,
    tls: bool,
    files: &RedisFiles,
    patience: Duration,
) -> Result<RedisConnection, RedisFailure> {
    let connection = single(info, tls, files, patience).await;
    Ok(RedisConnection::One(connection?))
}

async fn single(
    info: ConnectionInfo,
    tls: bool,
    files: &RedisFiles,
    patience: Duration,
) -> Result<MultiplexedConnection, RedisError> {
    let client = match tls {
        true => Client::build_with_tls(info, files.certificates.clone())?,
        false => Client::open(info)?,
    };
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(patience))
        .set_response_timeout(Some(patience));
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

async fn cluster(
    address: &RedisAddress,
    files: &RedisFiles,
    patience: Duration,
) -> Result<RedisConnection, RedisFailure> {
    let nodes = address
        .hosts
        .iter()
        .map(|host| server(address, host, login(address, files)))
        .collect::<Result<Vec<_>, _>>()?;
    let (shortest, longest) = CLUSTER_PAUSE;
    let mut builder = ClusterClientBuilder::new(nodes)
        .connection_timeout(patience)
        .response_timeout(patience)
        .overall_response_timeout(Some(2 * patience))
        .retries(CLUSTER_RETRIES)
        .min_retry_wait(shortest)
        .max_retry_wait(longest);
    if address.tls {
        builder = builder.certs(files.certificates.clone());
    }
    let connection = builder.build()?.get_async_connection().await;
    let connection = connection.map_err(|error| RedisFailure::of(&error, true));
    Ok(RedisConnection::Cluster(connection?))
}

/// The master as the sentinels name it. All of them are asked at once, and the
/// first that knows it is believed: one that was cut off may name the master of
/// before, which then refuses connections or writes, and is asked for again.
async fn master_address(
    address: &RedisAddress,
    config: &RedisConfig,
    master: &str,
    files: &RedisFiles,
    patience: Duration,
) -> Result<(String, u16), RedisFailure> {
    let mut asked = FuturesUnordered::new();
    for host in &address.hosts {
        let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(password) = &files.sentinel_password {
            login = login.set_password(password.expose_secret());
            if let Some(user) = &config.sentinel_user {
                login = login.set_username(user);
            }
        }
        let info = server(address, host, login)?;
        asked.push(async move {
            let mut sentinel = single(info, address.tls, files, patience).await?;
            let mut question = redis::cmd("SENTINEL");
            question.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
            question
                .query_async::<Option<(String, u16)>>(&mut sentinel)
                .await
        });
    }
    let mut failure = None;
    while let Some(answer) = asked.next().await {
        match answer {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => failure = Some(RedisFailureKind::UnknownMaster.into()),
            Err(error) => {
                let error = RedisFailure::of_sentinel(&error);
                failure = Some(match failure {
                    Some(before) if error.kind == RedisFailureKind::Unreachable => before,
                    _ => error,
                });
            }
        }
    }
    Err(failure.unwrap_or_else(|| RedisFailureKind::Unreachable.into()))
}

fn server(
    address: &RedisAddress,
    (host, port): &(String, u16),
    login: RedisConnectionInfo,
) -> Result<ConnectionInfo, RedisError> {
    let (host, port) = (host.clone(), *port);
    let addr = match address.tls {
        true => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        },
        false => ConnectionAddr::Tcp(host, port),
    };
    Ok(addr.into_connection_info()?.set_redis_settings(login))
}

fn login(address: &RedisAddress, files: &RedisFiles) -> RedisConnectionInfo {
    // A user whose ACL allows only what is needed may not name its library.
    let mut login = RedisConnectionInfo::default()
        .set_db(address.database)
        .set_skip_set_lib_name();
    if let Some(user) = &address.user {
        login = login.set_username(user);
    }
    match files.password.as_ref().or(address.password.as_ref()) {
        Some(password) => login.set_password(password.expose_secret()),
        None => login,
    }
}

// === impl RedisFiles ===

impl RedisFiles {
    /// Reads the files that are configured.
    ///
    /// # Errors
    /// When one of them cannot be read or is not what it should be, or when a
    /// password or a key is accessible by other users.
    pub fn read(config: &RedisConfig) -> Result<RedisFiles, RedisFailure> {
        let password =
            |path: &Option<_>, key| path.as_deref().map(|it| password(it, key)).transpose();
        let pem = |path: &Option<_>, key| path.as_deref().map(|it| bytes(it, key)).transpose();
        let cert = pem(&config.cert_file, "cert_file")?;
        let key = config.key_file.as_deref().map(private_key).transpose()?;
        let certificates = TlsCertificates {
            client_tls: cert
                .zip(key)
                .map(|(client_cert, client_key)| ClientTlsConfig {
                    client_cert,
                    client_key,
                }),
            root_cert: pem(&config.ca_file, "ca_file")?,
        };
        Ok(RedisFiles {
            password: password(&config.password_file, "password_file")?,
            sentinel_password: password(&config.sentinel_password_file, "sentinel_password_file")?,
            certificates,
        })
    }
}

fn password(path: &Path, key: &str) -> Result<SecretString, RedisFailure> {
    let text = read_secret(path).map_err(|error| unreadable(key, path, error))?;
    match text.trim() {
        "" => Err(RedisFailure::of_file(key, path, "must contain a password")),
        text => Ok(SecretString::from(text)),
    }
}

fn private_key(path: &Path) -> Result<Vec<u8>, RedisFailure> {
    let content = read_private(path).map_err(|error| unreadable("key_file", path, error))?;
    Ok(content.to_vec())
}

fn unreadable(key: &str, path: &Path, error: SecretError) -> RedisFailure {
    RedisFailure::of_file(key, path, &error.without_path())
}

fn bytes(path: &Path, key: &str) -> Result<Vec<u8>, RedisFailure> {
    std::fs::read(path).map_err(|error| RedisFailure::of_file(key, path, &error.to_string()))
}

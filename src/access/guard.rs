//! Access control itself: from credentials to an identity.

use super::{
    Clients, Clock, Identity, PeerNames, Refusals, RejectReason,
    config::{AccessConfig, SignatureConfig},
    credentials::Credentials,
    limits::{SharedNonce, UsageStore},
    signature::{Nonces, SignatureHeader, Signed},
};
use crate::secrets::{LoadError, Reloadable};
use http::{Extensions, HeaderMap};
use secrecy::SecretString;
use std::{path::PathBuf, sync::Arc, time::Duration};

/// Access control. Cloning is cheap; all clones share the nonces and the
/// counters.
#[derive(Debug, Clone)]
pub struct Access(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clients: Reloadable<Clients>,
    tolerance: Duration,
    /// How long a nonce is remembered: a signature is valid from one tolerance
    /// before its time to one after.
    nonces_kept: Duration,
    nonces: Nonces,
    usage_store: UsageStore,
    refusals: Refusals,
    clock: Clock,
    /// Signatures of unknown keys are checked with this secret, so that they
    /// take the same time as those of known keys.
    decoy: SecretString,
}

/// The identity of a caller, or what must be verified first.
#[derive(Debug)]
pub enum Credential {
    /// The identity is known.
    Identity(Arc<Identity>),
    /// The message must be read first.
    Signature(SignatureHeader),
}

impl Access {
    /// Access control as configured; `None` when it is off. `key_file` is that
    /// of `[secrets]`, for an encrypted clients file.
    ///
    /// # Errors
    /// When the clients file cannot be loaded.
    pub async fn load(
        config: &AccessConfig,
        key_file: Option<PathBuf>,
        usage_store: UsageStore,
    ) -> Result<Option<Access>, LoadError> {
        let Some(path) = config.clients_file.clone() else {
            return Ok(None);
        };
        let clients = Clients::load(path, key_file).await?;
        let access = Access::new(clients, &config.signatures, usage_store, Clock::default());
        Ok(Some(access))
    }

    /// Access control for these clients. `usage_store` keeps their usage.
    pub fn new(
        clients: Reloadable<Clients>,
        signatures: &SignatureConfig,
        usage_store: UsageStore,
        clock: Clock,
    ) -> Access {
        let nonces_kept = 2 * signatures.tolerance;
        Access(Arc::new(Inner {
            clients,
            tolerance: signatures.tolerance,
            nonces_kept,
            nonces: Nonces::new(nonces_kept, signatures.max_nonces),
            usage_store,
            refusals: Refusals::default(),
            clock,
            decoy: SecretString::from("nobody's secret, as long as anybody's".to_owned()),
        }))
    }

    /// The current clients, to be watched and reloaded.
    pub fn clients(&self) -> &Reloadable<Clients> {
        &self.0.clients
    }

    /// The store of the clients' usage.
    pub fn usage_store(&self) -> &UsageStore {
        &self.0.usage_store
    }

    /// Rejected calls so far, by reason.
    pub fn refusals(&self) -> &Refusals {
        &self.0.refusals
    }

    /// Who calls, according to the headers and the connection.
    ///
    /// # Errors
    /// Why the call is rejected.
    pub fn credential(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Credential, RejectReason> {
        let now = self.0.clock.now();
        let clients = self.0.clients.current();
        let identity = match Credentials::read(headers)? {
            Credentials::Key(key) => clients.by_key(key, now)?,
            Credentials::Signature(header) => {
                // The time is not secret, so an old signature is rejected
                // before the message is read.
                self.is_timely(&header)?;
                return Ok(Credential::Signature(header));
            }
            Credentials::None => {
                let names = extensions.get::<PeerNames>().ok_or(RejectReason::Missing)?;
                clients.by_certificate(names, now)?
            }
        };
        Ok(Credential::Identity(identity))
    }

    /// The signer, if the signature matches this message. The nonce is recorded
    /// last: only authentic signatures may fill the store.
    ///
    /// # Errors
    /// Why the call is rejected.
    pub async fn verified(
        &self,
        header: &SignatureHeader,
        path: &str,
        message: &[u8],
    ) -> Result<Arc<Identity>, RejectReason> {
        let identity = self.signer(header, path, message)?;
        let now = self.0.clock.since_1970();
        let (key_id, nonce) = (&header.key_id, &header.nonce);
        self.0.nonces.note(key_id, nonce, now)?;
        let kept_for = self.0.nonces_kept;
        match self.0.usage_store.note_nonce(key_id, nonce, kept_for).await {
            SharedNonce::New => Ok(identity),
            SharedNonce::Seen => Err(RejectReason::Replayed),
            SharedNonce::Unreachable => Err(RejectReason::NoncesUnreachable),
        }
    }

    /// The client whose key signed the message.
    fn signer(
        &self,
        header: &SignatureHeader,
        path: &str,
        message: &[u8],
    ) -> Result<Arc<Identity>, RejectReason> {
        let clients = self.0.clients.current();
        let key = clients.signing_key(&header.key_id);
        let signed = Signed {
            path,
            key_id: &header.key_id,
            time: header.time,
            nonce: &header.nonce,
            message,
        };
        let secret = key.map_or(&self.0.decoy, |key| &key.secret);
        let (true, Some(key)) = (signed.is_mac(secret, &header.mac), key) else {
            return Err(RejectReason::WrongSignature);
        };
        // Checked again: reading the message may have taken long enough for the
        // nonce of an earlier call to be forgotten.
        self.is_timely(header)?;
        key.identity(self.0.clock.now())
    }

    fn is_timely(&self, header: &SignatureHeader) -> Result<(), RejectReason> {
        let apart = self.0.clock.since_1970().as_secs().abs_diff(header.time);
        if apart <= self.0.tolerance.as_secs() {
            Ok(())
        } else {
            Err(RejectReason::OutsideTolerance)
        }
    }
}

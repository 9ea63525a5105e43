//! Why calls were rejected: for metrics, never for callers.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Why a call was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// The call has no credentials.
    Missing,
    /// The credentials cannot be parsed, or there is more than one kind of
    /// them.
    Malformed,
    /// The key is unknown, or its secret part is wrong.
    WrongKey,
    /// The key has expired.
    ExpiredKey,
    /// The client's access has expired.
    ExpiredClient,
    /// No client has a name of the certificate.
    UnknownCertificate,
    /// The signature does not match this method and message, or its key is
    /// unknown.
    WrongSignature,
    /// The signature is too old, or from the future.
    OutsideTolerance,
    /// The signature was used before.
    Replayed,
    /// The nonce store is full.
    NoncesFull,
    /// The nonce store is unreachable.
    NoncesUnreachable,
    /// A signature on a service whose calls have more than one message.
    NotSignable,
    /// The client may not call this method.
    Method,
    /// The client may not use this model.
    Model,
}

const REASONS: [RejectReason; 14] = [
    RejectReason::Missing,
    RejectReason::Malformed,
    RejectReason::WrongKey,
    RejectReason::ExpiredKey,
    RejectReason::ExpiredClient,
    RejectReason::UnknownCertificate,
    RejectReason::WrongSignature,
    RejectReason::OutsideTolerance,
    RejectReason::Replayed,
    RejectReason::NoncesFull,
    RejectReason::NoncesUnreachable,
    RejectReason::NotSignable,
    RejectReason::Method,
    RejectReason::Model,
];

impl RejectReason {
    /// The label in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            RejectReason::Missing => "missing",
            RejectReason::Malformed => "malformed",
            RejectReason::WrongKey => "wrong_key",
            RejectReason::ExpiredKey => "expired_key",
            RejectReason::ExpiredClient => "expired_client",
            RejectReason::UnknownCertificate => "unknown_certificate",
            RejectReason::WrongSignature => "wrong_signature",
            RejectReason::OutsideTolerance => "outside_tolerance",
            RejectReason::Replayed => "replayed",
            RejectReason::NoncesFull => "nonces_full",
            RejectReason::NoncesUnreachable => "nonces_unreachable",
            RejectReason::NotSignable => "not_signable",
            RejectReason::Method => "method",
            RejectReason::Model => "model",
        }
    }
}

/// Counts rejected calls by reason. Clones share the counters.
#[derive(Debug, Clone, Default)]
pub struct Refusals(Arc<[AtomicU64; REASONS.len()]>);

impl Refusals {
    /// Counts one more rejected call.
    pub fn count(&self, cause: RejectReason) {
        // The variants are listed in the order of their declaration.
        self.0[cause as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Calls rejected for this reason so far.
    pub fn of(&self, cause: RejectReason) -> u64 {
        self.0[cause as usize].load(Ordering::Relaxed)
    }

    /// All counters.
    pub fn all(&self) -> impl Iterator<Item = (RejectReason, u64)> + '_ {
        REASONS.into_iter().map(|cause| (cause, self.of(cause)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_a_place_and_a_name_of_its_own() {
        let refusals = Refusals::default();
        let mut names = std::collections::HashSet::new();
        for (place, cause) in REASONS.into_iter().enumerate() {
            assert_eq!(cause as usize, place);
            assert!(names.insert(cause.name()));
            refusals.count(cause);
        }
        assert!(refusals.all().all(|(_, count)| count == 1));
    }
}

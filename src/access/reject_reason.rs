//! Why calls were refused: for metrics, never for callers.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Why a call was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// It shows nothing.
    Missing,
    /// What it shows cannot be read, or it shows more than one thing.
    Malformed,
    /// Nobody has such a key, or the secret part is wrong.
    WrongKey,
    /// The key's time is over.
    ExpiredKey,
    /// The client's time is over.
    ExpiredClient,
    /// No client has a name of the certificate.
    UnknownCertificate,
    /// The signature is not that of this method and message, or nobody has
    /// such a key.
    WrongSignature,
    /// The signature is too old, or from the future.
    OutsideTolerance,
    /// The signature was seen before.
    Replayed,
    /// There is no room to remember the signature.
    NoncesFull,
    /// The store of the nonces does not answer.
    NoncesUnreachable,
    /// A signature on a service whose calls have more than one message.
    NotSignable,
    /// The client may not call this method.
    Method,
    /// The client may not ask for this model.
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
    /// The cause as a metric names it.
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

/// Counts refusals by cause. Clones share the figures.
#[derive(Debug, Clone, Default)]
pub struct Refusals(Arc<[AtomicU64; REASONS.len()]>);

impl Refusals {
    /// Notes one more.
    pub fn count(&self, cause: RejectReason) {
        // The variants are listed in the order of their declaration.
        self.0[cause as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Refusals for a cause so far.
    pub fn of(&self, cause: RejectReason) -> u64 {
        self.0[cause as usize].load(Ordering::Relaxed)
    }

    /// All figures.
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

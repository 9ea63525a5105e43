//! The statuses of rejected calls: one shape and one text, whatever was wrong
//! with the credentials.

use super::{Draft, plain};
use crate::{
    access::{
        RejectReason,
        limits::{AccessError, Limit, LimitExceeded},
    },
    proto::ERROR_DOMAIN,
    reason::Reason,
};
use std::collections::HashMap;
use tonic::Status;
use tonic_types::QuotaViolation;

/// The status of a call that access control rejected.
pub fn denied(refused: &AccessError) -> Status {
    match refused {
        AccessError::Limit(reached) => limit_exceeded(reached),
        AccessError::NotAllowed(cause) => rejected(*cause),
        AccessError::UnpricedModel(_) => plain(Reason::ModelUnpriced, refused.to_string()),
        AccessError::UnpricedFeature(_) => plain(Reason::FeatureUnpriced, refused.to_string()),
        AccessError::StoreUnreachable => plain(Reason::LimitsUnreachable, refused.to_string()),
    }
}

/// The status for a rejection. What is wrong with the credentials is not
/// disclosed: it would only help an attacker.
pub fn rejected(cause: RejectReason) -> Status {
    match cause {
        RejectReason::Method | RejectReason::Model => plain(
            Reason::PermissionDenied,
            "the client is not allowed to make this call",
        ),
        _ => plain(Reason::Unauthenticated, "valid credentials are required"),
    }
}

/// RESOURCE_EXHAUSTED with each exceeded limit and when to retry.
fn limit_exceeded(reached: &LimitExceeded) -> Status {
    let mut draft = Draft::new(Reason::ClientLimitReached, reached.to_string())
        .retry_after(Some(reached.retry_after()));
    let violations = reached
        .limits
        .iter()
        .map(|(limit, value, _)| QuotaViolation {
            api_service: ERROR_DOMAIN.to_owned(),
            quota_metric: quota_metric(*limit).to_owned(),
            quota_id: limit.name().to_owned(),
            quota_dimensions: HashMap::from([("client".to_owned(), reached.client.to_string())]),
            quota_value: i64::try_from(*value).unwrap_or(i64::MAX),
            ..QuotaViolation::new(
                format!("client:{}", reached.client),
                format!("{} of this client is {value}", limit.name()),
            )
        });
    draft
        .details
        .set_quota_failure(violations.collect::<Vec<_>>());
    draft.build()
}

/// What a limit counts.
fn quota_metric(limit: Limit) -> &'static str {
    match limit {
        Limit::RequestsPerMinute => "requests",
        Limit::InputTokensPerMinute => "input_tokens",
        Limit::OutputTokensPerMinute => "output_tokens",
        Limit::CallsInFlight => "calls",
        Limit::TokensPerDay | Limit::TokensPerMonth => "tokens",
        Limit::DollarsPerDay | Limit::DollarsPerMonth => "dollars",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::limits::LIMITS;
    use std::{sync::Arc, time::Duration};

    /// All limits at once, with the longest name and the longest figures.
    #[test]
    fn every_limit_at_once_has_room_in_the_trailers() {
        let over = LIMITS.map(|limit| (limit, u64::MAX, Duration::MAX));
        let status = limit_exceeded(&LimitExceeded {
            client: Arc::from("c".repeat(64)),
            limits: over.to_vec(),
        });
        crate::status::size::tests::assert_arrives(&status);
    }
}

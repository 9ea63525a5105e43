//! Describes a batch to its callers.

use crate::{
    batches::{BatchRecord, Phase},
    proto::v1,
    status::{item_error, upstream_failed},
    upstream::{Failed, UpstreamError},
};
use prost_types::Timestamp;
use std::time::Duration;

/// A batch that is kept for this long.
pub fn listed(record: &BatchRecord, retention: Duration) -> v1::Batch {
    let counts = record.counts;
    v1::Batch {
        id: record.id.clone(),
        request_id: record.request_id.clone(),
        state: state(record).into(),
        counts: Some(v1::BatchCounts {
            processing: figure(counts.processing),
            succeeded: figure(counts.succeeded),
            errored: figure(counts.errored),
            canceled: figure(counts.canceled),
            expired: figure(counts.expired),
        }),
        create_time: Some(time(record.created)),
        end_time: record.ended.map(time),
        expire_time: Some(time(record.created + retention.as_secs())),
        error: record.failure.clone().map(|failure| {
            let error = UpstreamError::Api(Box::new(failure));
            item_error(&upstream_failed(&Failed { error, attempts: 1 }, "items"))
        }),
    }
}

fn state(record: &BatchRecord) -> v1::BatchState {
    match record.phase {
        Phase::Submitting => v1::BatchState::Submitting,
        Phase::InProgress => v1::BatchState::InProgress,
        Phase::Canceling => v1::BatchState::Canceling,
        Phase::Ended => v1::BatchState::Ended,
        Phase::Failed => v1::BatchState::Failed,
    }
}

fn figure(count: u64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn time(seconds: u64) -> Timestamp {
    Timestamp {
        seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
        nanos: 0,
    }
}

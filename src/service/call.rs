//! Call options in the metadata.

use crate::{
    access::Identity,
    call::{Deadline, Priority},
    status::Violations,
    telemetry::CallRecord,
    upstream::CallOptions,
};
use std::{sync::Arc, time::Duration};
use tonic::{Request, Status, metadata::MetadataMap};

/// Metadata: `interactive` (the default) or `batch`.
const PRIORITY: &str = "claude-priority";

/// Metadata: `true` lets this call share the upstream call of an identical one
/// in flight, `false` forbids it.
const COALESCE: &str = "claude-coalesce";

/// The deadline of a call that did not pass the admission layer.
const FALLBACK_DEADLINE: Duration = Duration::from_secs(600);

/// Reads the options of a call. `coalesce_by_default` is the setting of its
/// RPC.
///
/// # Errors
/// INVALID_ARGUMENT when metadata has an unknown value.
pub fn options<T>(request: &Request<T>, coalesce_by_default: bool) -> Result<CallOptions, Status> {
    let deadline = request
        .extensions()
        .get::<Deadline>()
        .copied()
        .unwrap_or_else(|| Deadline::after(FALLBACK_DEADLINE));
    let record = request.extensions().get::<CallRecord>().cloned();
    let record = record.unwrap_or_default();
    let metadata = request.metadata();
    let mut wrong = Violations::default();
    let priority = one_of(
        metadata,
        PRIORITY,
        &[
            ("interactive", Priority::Interactive),
            ("batch", Priority::Batch),
        ],
        Priority::Interactive,
        &mut wrong,
    );
    let coalesce = one_of(
        metadata,
        COALESCE,
        &[("true", true), ("false", false)],
        coalesce_by_default,
        &mut wrong,
    );
    wrong.into_result()?;
    let caller = request.extensions().get::<Arc<Identity>>().cloned();
    let highest = caller.as_ref().map_or(priority, |caller| caller.priority);
    Ok(CallOptions {
        priority: priority.min(highest),
        coalesce,
        tenant: caller.as_ref().map(|caller| Arc::clone(&caller.tenant)),
        caller,
        record,
        ..CallOptions::new(deadline)
    })
}

fn one_of<T: Copy>(
    metadata: &MetadataMap,
    key: &'static str,
    allowed: &[(&str, T)],
    default: T,
    wrong: &mut Violations,
) -> T {
    let Some(value) = metadata.get(key) else {
        return default;
    };
    let found = allowed
        .iter()
        .find(|(name, _)| value.as_bytes() == name.as_bytes());
    match found {
        Some((_, value)) => *value,
        None => {
            let names: Vec<&str> = allowed.iter().map(|(name, _)| *name).collect();
            wrong.add(
                format_args!("metadata.{key}"),
                format!("must be one of: {}", names.join(", ")),
            );
            default
        }
    }
}

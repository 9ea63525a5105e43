//! Call options in the metadata.

use super::PassthroughConfig;
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

/// Metadata: a name for the conversation, whose calls are made with the same API
/// key. 1 to 128 printable ASCII characters.
const CONVERSATION: &str = "claude-conversation";

/// The metadata with call options.
pub const OPTION_HEADERS: [&str; 3] = [PRIORITY, COALESCE, CONVERSATION];

/// Maximum length of [`CONVERSATION`].
const MAX_CONVERSATION: usize = 128;

/// The deadline of a call that did not pass the admission layer.
const FALLBACK_DEADLINE: Duration = Duration::from_secs(600);

/// Reads the options of a call. `coalesce_by_default` is the setting of its
/// RPC.
///
/// # Errors
/// INVALID_ARGUMENT when metadata has an unknown value, or what may not be passed
/// through to the API.
pub fn options<T>(
    request: &Request<T>,
    coalesce_by_default: bool,
    passthrough: &PassthroughConfig,
) -> Result<CallOptions, Status> {
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
    let conversation = conversation(metadata, &mut wrong);
    let headers = passthrough.headers(metadata, &mut wrong);
    wrong.into_result()?;
    let caller = request.extensions().get::<Arc<Identity>>().cloned();
    let highest = caller.as_ref().map_or(priority, |caller| caller.priority);
    Ok(CallOptions {
        priority: priority.min(highest),
        headers,
        coalesce,
        conversation,
        tenant: caller.as_ref().map(|caller| Arc::clone(&caller.tenant)),
        caller,
        record,
        ..CallOptions::new(deadline)
    })
}

fn conversation(metadata: &MetadataMap, wrong: &mut Violations) -> Option<String> {
    let value = metadata.get(CONVERSATION)?;
    match value.to_str() {
        Ok(name) if (1..=MAX_CONVERSATION).contains(&name.len()) => Some(name.to_owned()),
        _ => {
            let problem = format!("must be 1 to {MAX_CONVERSATION} printable ASCII characters");
            wrong.add(format_args!("metadata.{CONVERSATION}"), problem);
            None
        }
    }
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

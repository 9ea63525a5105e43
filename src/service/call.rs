//! Call options in the metadata.

use super::PassthroughConfig;
use crate::{
    access::Identity,
    call::{Deadline, Holder, PeerNetwork, Priority},
    memory::{MessageBudget, MessageBytes},
    status::Violations,
    telemetry::CallRecord,
    upstream::{BETAS, CallOptions, is_name},
};
use std::{sync::Arc, time::Duration};
use tonic::{Extensions, Request, Status, metadata::MetadataMap};

/// Metadata: `interactive` (the default) or `batch`.
pub const PRIORITY: &str = "claude-priority";

/// Metadata: `true` lets this call share the upstream call of an identical one
/// in flight, `false` forbids it.
const COALESCE: &str = "claude-coalesce";

/// Metadata: a name for the conversation, whose calls are made with the same API
/// key. 1 to 128 printable ASCII characters.
const CONVERSATION: &str = "claude-conversation";

/// Metadata: the name of the host that must serve the call, such as the one that
/// answered earlier in the conversation.
const HOST: &str = "claude-host";

/// Metadata: how old a response may be that is kept of an earlier call, in seconds. 0
/// accepts none, and keeps none.
const CACHE_MAX_AGE: &str = "claude-cache-max-age";

/// The metadata with call options.
pub const OPTION_HEADERS: [&str; 5] = [PRIORITY, COALESCE, CONVERSATION, HOST, CACHE_MAX_AGE];

/// Maximum of [`CACHE_MAX_AGE`]: a year.
const LONGEST_MAX_AGE: u64 = 365 * 24 * 60 * 60;

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
    let host = host(metadata, &mut wrong);
    let caller = request.extensions().get::<Arc<Identity>>().cloned();
    for beta in headers.iter().flat_map(|headers| &headers.betas) {
        if caller.as_ref().is_some_and(|it| !it.may_use_beta(beta)) {
            let problem = format!("{beta} is not allowed for this client");
            wrong.add(format_args!("metadata.{BETAS}"), problem);
        }
    }
    wrong.into_result()?;
    let highest = caller.as_ref().map_or(priority, |caller| caller.priority);
    Ok(CallOptions {
        priority: priority.min(highest),
        headers,
        coalesce,
        conversation,
        host,
        tenant: caller.as_ref().map(|caller| Arc::clone(&caller.tenant)),
        peer: request.extensions().get().copied(),
        caller,
        record,
        ..CallOptions::new(deadline)
    })
}

/// Memory for what the caller of a request holds in addition to its message: of its
/// tenant's share, or else of its peer's.
pub fn memory(extensions: &Extensions, budget: &MessageBudget) -> MessageBytes {
    if let Some(caller) = extensions.get::<Arc<Identity>>() {
        let tenant = Holder::Tenant(Arc::clone(&caller.tenant));
        return budget.message(Some(tenant), caller.weight);
    }
    let peer = extensions.get::<PeerNetwork>();
    budget.message(peer.copied().map(Holder::Peer), 1)
}

/// How old a response may be that is kept of an earlier call; zero if the call accepts none.
/// `default` is the setting of its RPC.
///
/// # Errors
/// INVALID_ARGUMENT when the metadata is not a number of seconds.
pub fn cache_max_age<T>(request: &Request<T>, default: Duration) -> Result<Duration, Status> {
    let Some(value) = request.metadata().get(CACHE_MAX_AGE) else {
        return Ok(default);
    };
    let seconds = value.to_str().ok().and_then(|it| it.parse::<u64>().ok());
    match seconds.filter(|seconds| *seconds <= LONGEST_MAX_AGE) {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => {
            let mut wrong = Violations::default();
            let problem = format!("must be a number of seconds, at most {LONGEST_MAX_AGE}");
            wrong.add(format_args!("metadata.{CACHE_MAX_AGE}"), problem);
            Err(wrong.into_status())
        }
    }
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

fn host(metadata: &MetadataMap, wrong: &mut Violations) -> Option<Arc<str>> {
    let value = metadata.get(HOST)?;
    match value.to_str() {
        Ok(name) if is_name(name) => Some(Arc::from(name)),
        _ => {
            let problem = "must be the name of a host of the service";
            wrong.add(format_args!("metadata.{HOST}"), problem);
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

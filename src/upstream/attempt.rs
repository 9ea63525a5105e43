//! One attempt of a call, with the key that was selected for it.

use super::{
    Call, http::Reservation, keys::Key, limits::RateLimitObserver, prefix_warmup::PrefixLead,
    usage_meter::UsageMeter,
};
use http::HeaderValue;
use std::sync::Arc;

/// The request type of the layers below key selection.
#[derive(Debug)]
pub struct Attempt {
    /// The call that is attempted.
    pub call: Call,
    /// The selected API key.
    pub key: Arc<Key>,
    /// Receives the rate limits in the response headers.
    pub rate_limit_observer: RateLimitObserver,
    /// Counts what the attempt uses.
    pub meter: UsageMeter,
    /// The stream on which it is made; `None` over HTTP/1.1.
    pub reservation: Option<Reservation>,
    /// Is told when the answer begins, if this is the first call of its prefix.
    pub lead: Option<Arc<PrefixLead>>,
    /// Passes the trace on to the API.
    pub traceparent: Option<HeaderValue>,
    /// Vendor data of the trace.
    pub tracestate: Option<HeaderValue>,
}

//! Identical calls in flight at the same moment share one upstream call.
//!
//! Above the breaker, the retries and every limit: a shared call is made and
//! paid for once. It belongs to all callers that wait for it: it continues
//! while one of them is left, and is dropped with the last one. There is no
//! background task.
//!
//! Calls are identical when their request bodies are, byte for byte, their headers,
//! their tenants, and the hosts and models that they may use; the body is serialized from
//! typed messages, always in the same way.
//!
//! The shared call plans its waits and retries by the deadline of the caller
//! that started it. A caller that joined, and has time left when that deadline
//! is exceeded, makes a call of its own.

use super::{
    ApiHeaders, Body, Call, Fingerprint, Payload, Reply, RoutedRpc, Transport, UpstreamError,
};
use crate::access::Identity;
use crate::claude::answer::Message;
use crate::layer::{Next, Rule};
use crate::telemetry::{CallRecord, CoalescedWait};
use bytes::Bytes;
use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The identity of a call: equal for calls that may share a response.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RequestKey {
    tenant: Option<Arc<str>>,
    /// It decides the route.
    rpc: RoutedRpc,
    /// The host that the caller names, and what its client may use of hosts and models:
    /// an answer comes from where each caller may have it from.
    host: Option<Arc<str>>,
    may_use: Option<(Vec<String>, Vec<String>, bool)>,
    headers: Option<Arc<ApiHeaders>>,
    body: Bytes,
}

/// A response for several callers.
#[derive(Debug, Clone)]
struct Answer {
    request_id: Option<String>,
    host: Arc<str>,
    key: Option<Fingerprint>,
    message: Arc<Message>,
    attempts: u32,
}

type SharedCall = Shared<BoxFuture<'static, Result<Answer, UpstreamError>>>;

struct InFlight {
    id: u64,
    call: WeakShared<BoxFuture<'static, Result<Answer, UpstreamError>>>,
    /// The telemetry record of the call that started it.
    record: CallRecord,
}

#[derive(Default)]
struct Table {
    calls: Mutex<HashMap<RequestKey, InFlight>>,
    next_id: AtomicU64,
    joined: AtomicU64,
}

/// Counts the calls that shared another call's response.
#[derive(Clone, Default)]
pub struct Coalesced(Arc<Table>);

impl Coalesced {
    /// Calls that joined another one so far.
    pub fn count(&self) -> u64 {
        self.0.joined.load(Ordering::Relaxed)
    }
}

/// Lets identical calls share one upstream call.
pub struct Coalesce(Arc<Table>);

impl Coalesce {
    /// Calls that join are counted in `coalesced`.
    pub fn new(coalesced: &Coalesced) -> Self {
        Coalesce(Arc::clone(&coalesced.0))
    }

    /// The call to wait for, and whether another caller started it.
    fn join_or_begin(
        &self,
        key: RequestKey,
        call: Call,
        mut next: impl Next<Call, Reply, UpstreamError>,
    ) -> (SharedCall, Option<CoalescedWait>) {
        let table = Arc::clone(&self.0);
        let mut calls = table.calls.lock();
        if let Some(in_flight) = calls.get(&key)
            && let Some(shared) = in_flight.call.upgrade()
        {
            return (shared, Some(call.record.joined(&in_flight.record)));
        }
        let id = table.next_id.fetch_add(1, Ordering::Relaxed);
        let entry = Entry {
            table: Arc::clone(&table),
            key: key.clone(),
            id,
        };
        let attempts = call.attempts.clone();
        let record = call.record.clone();
        let shared = async move {
            let _entry = entry;
            let reply = next.run(call).await?;
            match reply.body {
                Body::Message(message) => Ok(Answer {
                    request_id: reply.request_id,
                    host: reply.host,
                    key: reply.key,
                    message: Arc::new(*message),
                    attempts: attempts.count(),
                }),
                _ => Err(UpstreamError::Malformed("unexpected response type".into())),
            }
        }
        .boxed()
        .shared();
        if let Some(weak) = shared.downgrade() {
            let call = InFlight {
                id,
                call: weak,
                record,
            };
            calls.insert(key, call);
        }
        (shared, None)
    }
}

/// Removes a call from the table when it ends or is dropped.
struct Entry {
    table: Arc<Table>,
    key: RequestKey,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut calls = self.table.calls.lock();
        // Another call may have replaced it.
        if calls.get(&self.key).is_some_and(|it| it.id == self.id) {
            calls.remove(&self.key);
        }
    }
}

fn key(call: &Call) -> Option<RequestKey> {
    match &call.payload {
        Payload::Messages {
            body,
            transport: Transport::Whole | Transport::Gathered,
        } if call.coalesce => Some(RequestKey {
            tenant: call.tenant.clone(),
            rpc: call.rpc,
            host: call.host.clone(),
            may_use: call.caller.as_ref().map(|caller| may_use(caller)),
            headers: call.headers.clone(),
            body: body.clone(),
        }),
        _ => None,
    }
}

/// The hosts and models that a client may use, and whether their prices must be known.
fn may_use(caller: &Identity) -> (Vec<String>, Vec<String>, bool) {
    let is_in_dollars = caller.limits.are_in_dollars();
    (caller.hosts.clone(), caller.models.clone(), is_in_dollars)
}

/// Whether a call ran out of time, so that one with more time might succeed.
fn ran_out_of_time(error: &UpstreamError) -> bool {
    matches!(
        error,
        UpstreamError::DeadlineExceeded(_) | UpstreamError::QuotaExhausted { .. }
    )
}

impl Rule<Call> for Coalesce {
    type Inner = Call;
    type Response = Reply;
    type Error = UpstreamError;

    async fn call(
        &self,
        call: Call,
        mut next: impl Next<Call, Reply, UpstreamError>,
    ) -> Result<Reply, UpstreamError> {
        let Some(key) = key(&call) else {
            return next.run(call).await;
        };
        loop {
            let (shared, joined) = self.join_or_begin(key.clone(), call.clone(), next.clone());
            if joined.is_some() {
                self.0.joined.fetch_add(1, Ordering::Relaxed);
            }
            let answer = match shared.await {
                Ok(answer) => answer,
                Err(error) if joined.is_some() && ran_out_of_time(&error) => continue,
                Err(error) => return Err(error),
            };
            if joined.is_some() {
                call.attempts.set(answer.attempts);
            }
            let message = Arc::try_unwrap(answer.message).unwrap_or_else(|it| (*it).clone());
            return Ok(Reply {
                request_id: answer.request_id,
                host: answer.host,
                key: answer.key,
                body: Body::Message(Box::new(message)),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::CallParts;
    use crate::{call::Deadline, layer::rule};
    use std::time::Duration;
    use tower::{Layer, Service};
    use tower_test::mock;

    fn call(body: &'static str, deadline: Duration) -> Call {
        let parts = CallParts {
            payload: Payload::Messages {
                body: Bytes::from_static(body.as_bytes()),
                transport: Transport::Whole,
            },
            deadline: Deadline::after(deadline),
            coalesce: true,
            ..CallParts::for_tests()
        };
        parts.into()
    }

    fn reply() -> Reply {
        let answer =
            r#"{"id":"msg_1","model":"m","content":[],"stop_reason":"end_turn","usage":{}}"#;
        Reply {
            request_id: None,
            host: Arc::from("h"),
            key: None,
            body: Body::Message(Box::new(Message::read(answer.as_bytes()).unwrap())),
        }
    }

    /// The mock's errors are boxed; ours are not.
    fn coalesce() -> (
        impl Service<Call, Response = Reply, Error = UpstreamError, Future: Send + 'static> + Clone,
        mock::Handle<Call, Reply>,
        Coalesced,
    ) {
        let (service, handle) = mock::pair::<Call, Reply>();
        let service = tower::ServiceBuilder::new()
            .map_err(
                |error: tower::BoxError| match error.downcast::<UpstreamError>() {
                    Ok(ours) => *ours,
                    Err(_) => UpstreamError::Broken,
                },
            )
            .service(service);
        let coalesced = Coalesced::default();
        let layer = rule(Coalesce::new(&coalesced));
        (layer.layer(service), handle, coalesced)
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn identical_calls_share_and_one_cancel_does_not_cancel_the_others() {
        let (mut service, mut handle, coalesced) = coalesce();
        handle.allow(2);
        let first = tokio::spawn(service.call(call("a", MINUTE)));
        let (asked, respond) = handle.next_request().await.unwrap();
        assert!(matches!(asked.payload, Payload::Messages { .. }));
        let joined = call("a", MINUTE);
        let attempts = joined.attempts.clone();
        let second = tokio::spawn(service.call(joined));
        while coalesced.count() == 0 {
            tokio::task::yield_now().await;
        }
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        asked.attempts.begin();
        respond.send_response(reply());
        second.await.unwrap().unwrap();
        assert_eq!(attempts.count(), 1);
        assert!(coalesced.0.calls.lock().is_empty());
    }

    #[tokio::test]
    async fn who_joined_asks_anew_when_the_shared_call_had_no_time() {
        let (mut service, mut handle, _) = coalesce();
        handle.allow(2);
        let short = tokio::spawn(service.call(call("a", MINUTE)));
        let (_, refuse) = handle.next_request().await.unwrap();
        let long = tokio::spawn(service.call(call("a", MINUTE * 2)));
        refuse.send_error(UpstreamError::QuotaExhausted {
            retry_after: MINUTE,
        });
        let refused = short.await.unwrap();
        assert!(matches!(refused, Err(UpstreamError::QuotaExhausted { .. })));
        let (_, respond) = handle.next_request().await.unwrap();
        respond.send_response(reply());
        long.await.unwrap().unwrap();
    }
}

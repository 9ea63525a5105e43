//! ProcessItems: requests in, results out, in one call.
//!
//! The results are read from a stream that reads the items, so that a caller who reads no
//! results is asked for no more items. What an item holds is drawn from the budget of
//! messages before the next one is read.

mod item;

use super::{Rpcs, call};
use crate::{
    access::{SignedCall, limits::ItemLimits},
    call::ItemsInFlight,
    memory::{MessageBytes, NoRoom},
    proto::{
        DecodedSize,
        v1::{self, process_items_request::Content},
    },
    status::{self, Violations},
};
use async_stream::stream;
use futures::{Stream, StreamExt, stream};
use item::ItemCalls;
use prost::Message;
use std::sync::{Arc, OnceLock};
use tonic::{Request, Status, Streaming};

/// What an item in flight holds in addition to its message, in bytes: about half of what a
/// small call takes, since messages may have only a part of the memory.
const ITEM: usize = 16 * 1024;

/// What an entry of the metadata takes, of which each item has a copy, in bytes.
const METADATA_ENTRY: usize = 128;

/// The result of an item, or the end of the stream.
type ItemResult = Result<v1::ProcessItemsResponse, Status>;

/// The items that a caller sends.
struct Items {
    rpcs: Rpcs,
    messages: Streaming<v1::ProcessItemsRequest>,
    /// Holds nothing: each item does, of the same share.
    memory: MessageBytes,
    /// What each holds in addition to its message, in bytes.
    overhead: usize,
    /// What the item that was read last takes in addition to its bytes.
    decoded_size: Option<DecodedSize>,
    /// Calls the RPC of an item.
    calls: Arc<ItemCalls>,
    in_flight: ItemsInFlight,
    /// Why no more are read, if that is an error: it follows the results.
    ended: Arc<OnceLock<Status>>,
}

impl Rpcs {
    pub(super) async fn process_items(
        &self,
        request: Request<Streaming<v1::ProcessItemsRequest>>,
    ) -> Result<impl Stream<Item = ItemResult> + Send + use<>, Status> {
        if request.extensions().get::<SignedCall>().is_some() {
            return Err(status::items_cannot_be_signed());
        }
        let (metadata, extensions, mut messages) = request.into_parts();
        let in_flight = extensions.get::<ItemsInFlight>().cloned();
        let memory = call::memory(&extensions, &self.memory);
        let decoded_size = extensions.get::<DecodedSize>().cloned();
        let calls = ItemCalls {
            rpcs: self.clone(),
            limits: extensions.get::<ItemLimits>().cloned(),
            metadata: item::in_batch(metadata),
            extensions,
        };
        let first = messages.message().await?.and_then(|it| it.content);
        let (start, first) = match first {
            Some(Content::Start(start)) => (start, None),
            Some(Content::Item(item)) => (v1::ItemsStart::default(), Some(item)),
            None => return Err(missing()),
        };
        let parallel = self.parallel_items(start.parallel)?;
        let ended = Arc::new(OnceLock::new());
        let items = Items {
            rpcs: self.clone(),
            messages,
            memory,
            overhead: ITEM + calls.metadata.len() * METADATA_ENTRY,
            decoded_size,
            calls: Arc::new(calls),
            in_flight: in_flight.unwrap_or_default(),
            ended: Arc::clone(&ended),
        };
        let results = items.begun(first);
        let results = match start.ordered {
            true => results.buffered(parallel).left_stream(),
            false => results.buffer_unordered(parallel).right_stream(),
        };
        // Looked at once all results are there.
        let end = stream::once(async move { ended.get().cloned() });
        let end = end.filter_map(|status| async { status.map(Err) });
        Ok(results.map(Ok).chain(end))
    }

    fn parallel_items(&self, requested: i32) -> Result<usize, Status> {
        let most = self.config.items.parallel;
        match u32::try_from(requested) {
            Ok(0) => Ok(most as usize),
            Ok(requested) if requested <= most => Ok(requested as usize),
            _ => {
                let mut wrong = Violations::default();
                wrong.add("start.parallel", format!("must be between 1 and {most}"));
                Err(wrong.into_status())
            }
        }
    }
}

// === impl Items ===

impl Items {
    /// The items as they come, each with the work on it. The stream is read when there is
    /// room for one more.
    fn begun(
        mut self,
        first: Option<v1::Item>,
    ) -> impl Stream<Item = impl Future<Output = v1::ProcessItemsResponse> + Send> + Send {
        stream! {
            let mut next = first;
            loop {
                let item = match next.take() {
                    Some(item) => item,
                    None => match self.next().await {
                        Some(item) => item,
                        None => break,
                    },
                };
                let counted = self.in_flight.begin();
                let decoded = self.decoded_size.as_ref().map_or(0, DecodedSize::last);
                let (held, drawn) = self.room(item.encoded_len() + decoded + self.overhead).await;
                yield self.work(item, drawn, (held, counted));
            }
        }
    }

    /// The memory of an item. It waits for as long as others of the stream are in flight.
    async fn room(&self, bytes: usize) -> (MessageBytes, Result<(), NoRoom>) {
        loop {
            let held = self.memory.of_same_holder();
            let drawn = held.draw(bytes).await;
            if drawn != Err(NoRoom::Busy) || self.in_flight.count() == 1 {
                held.whole();
                return (held, drawn);
            }
            drop(held);
            self.in_flight.one_ended().await;
        }
    }

    /// The next item; `None` at the end. A drain ends the stream: what was not read is
    /// processed by another replica.
    async fn next(&mut self) -> Option<v1::Item> {
        let message = tokio::select! {
            biased;
            () = self.rpcs.drain.cancelled() => Err(status::draining()),
            message = self.messages.message() => message,
        };
        let content = match message {
            Ok(None) => return None,
            Ok(Some(message)) => message.content,
            Err(status) => {
                let _ = self.ended.set(status);
                return None;
            }
        };
        match content {
            Some(Content::Item(item)) => Some(item),
            Some(Content::Start(_)) => {
                let mut wrong = Violations::default();
                wrong.add("start", "must be the first message");
                let _ = self.ended.set(wrong.into_status());
                None
            }
            None => {
                let _ = self.ended.set(missing());
                None
            }
        }
    }

    fn work<H: Send>(
        &self,
        item: v1::Item,
        drawn: Result<(), NoRoom>,
        held: H,
    ) -> impl Future<Output = v1::ProcessItemsResponse> + Send + use<H> {
        let calls = Arc::clone(&self.calls);
        async move {
            let _held = held;
            let id = item.id.clone();
            let result = match drawn {
                Ok(()) => calls.result(item).await,
                Err(_) => Err(status::out_of_message_memory()),
            };
            let result = result.unwrap_or_else(|status| item::failed(&status));
            v1::ProcessItemsResponse {
                id,
                result: Some(result),
            }
        }
    }
}

fn missing() -> Status {
    let mut wrong = Violations::default();
    wrong.add("content", "must be set");
    wrong.into_status()
}

//! Until when the API rejects requests, after it has rejected one.
//!
//! A `retry-after` holds for the request that was rejected, and so for those of
//! the same shape. If every request is rejected, each shape learns it by one
//! rejection of its own. What the headers report of the common limits is in the
//! buckets, and holds for all.

use crate::upstream::RequestShape;
use std::time::Duration;
use tokio::time::Instant;

/// Callers choose the shapes: beyond this number, the one whose time ends first
/// is forgotten.
const MAX_SHAPES: usize = 64;

/// The shapes that the API rejects, and until when.
#[derive(Debug, Default)]
pub struct Rejections(Vec<(RequestShape, Instant)>);

// === impl Rejections ===

impl Rejections {
    /// No request of this shape starts before `until`.
    pub fn add(&mut self, shape: RequestShape, until: Instant) {
        let now = Instant::now();
        let until = until.max(now + self.left(shape));
        self.0.retain(|(one, at)| *one != shape && *at > now);
        if until <= now {
            return;
        }
        if self.0.len() >= MAX_SHAPES {
            let soonest = self.0.iter().enumerate().min_by_key(|(_, (_, at))| *at);
            if let Some((index, _)) = soonest {
                self.0.swap_remove(index);
            }
        }
        self.0.push((shape, until));
    }

    /// How much longer the API rejects requests of this shape.
    pub fn left(&self, shape: RequestShape) -> Duration {
        let rejection = self.0.iter().find(|(one, _)| *one == shape);
        rejection.map_or(Duration::ZERO, |(_, until)| {
            until.saturating_duration_since(Instant::now())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::request::MessagesRequest;

    fn shape(max_tokens: u32, input_tokens: u32) -> RequestShape {
        let request = MessagesRequest {
            max_tokens: Some(max_tokens),
            ..MessagesRequest::default()
        };
        RequestShape::of(&request, input_tokens)
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_shape_that_was_rejected_waits_and_for_the_longest_time() {
        let mut rejections = Rejections::default();
        let (long, short) = (shape(1, 500_000), shape(1, 10));
        let after = |seconds| Instant::now() + Duration::from_secs(seconds);
        rejections.add(long, after(30));
        rejections.add(long, after(10));
        assert_eq!(rejections.left(long), Duration::from_secs(30));
        assert_eq!(rejections.left(short), Duration::ZERO);
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(rejections.left(long), Duration::ZERO);
        rejections.add(short, after(1));
        assert_eq!(rejections.0.len(), 1, "what is over is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_shapes_is_bounded() {
        let mut rejections = Rejections::default();
        let until = |index: u64| Instant::now() + Duration::from_secs(1 + index);
        let inputs = [
            1, 20_000, 40_000, 80_000, 150_000, 300_000, 500_000, 900_000,
        ];
        let outputs = [1, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000];
        let shapes = inputs.map(|input| outputs.map(|output| shape(output, input)));
        for (index, one) in (0..).zip(shapes.as_flattened()) {
            rejections.add(*one, until(index));
        }
        assert_eq!(rejections.0.len(), MAX_SHAPES);
        let tools = RequestShape::of(
            &serde_json::from_str(
                r#"{"model":"m","messages":[],"service_tier":"auto","max_tokens":1}"#,
            )
            .unwrap(),
            1,
        );
        rejections.add(tools, until(100));
        assert_eq!(rejections.0.len(), MAX_SHAPES);
        assert!(!rejections.left(tools).is_zero());
        assert!(rejections.left(shapes[0][0]).is_zero());
    }
}

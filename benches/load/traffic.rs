//! Callers, and what became of their calls.

use claude_grpc::proto::v1;
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tonic::{Code, Request};

/// One call that is over.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// When it began.
    pub began: Instant,
    /// How long the caller waited.
    pub took: Duration,
    /// How it ended.
    pub code: Code,
}

impl Outcome {
    /// Makes a call and notes how it went.
    pub async fn of<T>(call: impl Future<Output = Result<T, tonic::Status>>) -> Outcome {
        let began = Instant::now();
        let code = match call.await {
            Ok(_) => Code::Ok,
            Err(status) => status.code(),
        };
        Outcome {
            began,
            took: began.elapsed(),
            code,
        }
    }
}

/// So many callers, each of which makes one call after the other until the
/// time is up.
pub async fn closed_loop<C, F>(callers: usize, time: Duration, call: C) -> Vec<Outcome>
where
    C: Fn(usize) -> F + Clone + Send + 'static,
    F: Future<Output = Outcome> + Send,
{
    let until = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let call = call.clone();
        tasks.spawn(async move {
            let mut outcomes = Vec::new();
            while Instant::now() < until {
                outcomes.push(call(caller).await);
            }
            outcomes
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// Calls that begin at a steady rate, whether or not earlier ones are over.
pub async fn open_loop<C, F, T>(per_second: f64, time: Duration, call: C) -> Vec<T>
where
    C: Fn(u64) -> F,
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    let mut number = 0;
    loop {
        let due = Duration::from_secs_f64(number as f64 / per_second);
        if due >= time {
            break;
        }
        tokio::time::sleep_until((began + due).into()).await;
        tasks.spawn(call(number));
        number += 1;
    }
    tasks.join_all().await
}

/// The share of outcomes that are a success.
pub fn success(outcomes: &[Outcome]) -> f64 {
    let good = outcomes.iter().filter(|it| it.code == Code::Ok).count();
    good as f64 / outcomes.len().max(1) as f64
}

/// A quantile of durations, in milliseconds.
pub fn quantile(durations: impl IntoIterator<Item = Duration>, share: f64) -> f64 {
    let mut sorted: Vec<Duration> = durations.into_iter().collect();
    sorted.sort_unstable();
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    let at = rank.clamp(1, sorted.len().max(1)) - 1;
    sorted.get(at).map_or(0.0, |it| it.as_secs_f64() * 1000.0)
}

/// A number that differs from call to call.
#[derive(Clone, Default)]
pub struct Numbers(Arc<AtomicU64>);

impl Numbers {
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// A short conversation with a deadline.
pub fn ask(text: String, deadline: Duration) -> Request<v1::GenerateRequest> {
    let mut request = Request::new(v1::GenerateRequest {
        messages: vec![v1::Message {
            role: v1::Role::User.into(),
            text,
            content: Vec::new(),
            ..v1::Message::default()
        }],
        max_tokens: Some(64),
        ..v1::GenerateRequest::default()
    });
    request.set_timeout(deadline);
    request
}

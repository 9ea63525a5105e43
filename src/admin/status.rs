//! The figures of the status page.

use super::{
    gauges::{self, BREAKER_STATES, Headroom},
    last_minute::LastMinute,
    view::ServiceView,
};
use crate::{
    telemetry::{
        FailedCall,
        metrics::{Family, Point, PointValue},
        names::{Metric, attribute as a, metric as m},
    },
    upstream::{CircuitScope, CircuitState, Host, PoolCounts},
};
use std::{
    collections::BTreeMap,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, SystemTime},
};

/// Everything that the status page shows.
#[derive(Debug)]
pub struct StatusReport {
    /// Time of the report.
    pub at: SystemTime,
    /// Why no calls are accepted; `None` when ready.
    pub unready: Option<&'static str>,
    /// Time since the start.
    pub up: Duration,
    /// Calls in flight.
    pub in_flight: i64,
    /// Calls in each second of the last minute.
    pub per_second: Vec<f64>,
    /// Length of the window that the figures cover, at most a minute.
    pub window: Duration,
    /// Calls that succeeded and calls that failed within the window.
    pub outcomes: (u64, u64),
    /// Median and 99th percentile of the durations of calls.
    pub call_quantiles: [Option<Duration>; 2],
    /// Median and 99th percentile of the time that the gateway added to calls.
    pub overhead_quantiles: [Option<Duration>; 2],
    /// The worst state of the circuits of the circuit breaker.
    pub breaker: &'static str,
    /// What its circuits that are not closed protect.
    pub failing: Vec<String>,
    /// Permits in use, the limit, and attempts that wait for one.
    pub permits: (usize, usize, usize),
    /// The HTTP/2 connections and streams.
    pub http2: PoolCounts,
    /// API keys that are quarantined, and all.
    pub keys: (usize, usize),
    /// What is left of the API's limits.
    pub rate_limits: Vec<Headroom>,
    /// Failed calls since the start by reason, most frequent first.
    pub errors: Vec<(String, f64)>,
    /// Failed attempts since the start by error type, most frequent first.
    pub upstream_errors: Vec<(String, f64)>,
    /// Usage of each client, highest cost first.
    pub clients: Vec<ClientUsage>,
    /// The last failed calls.
    pub failures: Vec<FailedCall>,
}

/// Usage of one client since the start.
#[derive(Debug)]
pub struct ClientUsage {
    /// Name of the client.
    pub name: String,
    /// Calls that ended.
    pub calls: f64,
    /// Input tokens, those of the prompt cache included.
    pub input: f64,
    /// Output tokens, those of thinking included.
    pub output: f64,
    /// Cost in US dollars.
    pub cost: f64,
}

impl StatusReport {
    /// A report as of now.
    pub fn now(view: &ServiceView, window: &LastMinute) -> StatusReport {
        let metrics = view.telemetry.metrics();
        let families = metrics.map(|it| it.collect()).unwrap_or_default();
        let since = metrics.map_or_else(SystemTime::now, |it| it.since);
        let now = SystemTime::now();
        let upstream = &view.upstream;
        let mut rate_limits = gauges::rate_limits(view);
        for headroom in &mut rate_limits {
            // Below zero, calls are owed: nothing is left.
            headroom.left = headroom.left.max(0.0);
            if upstream.hosts.len() > 1 {
                headroom.model = format!("{}: {}", headroom.host, headroom.model);
            }
        }
        let hosts = &upstream.hosts;
        let keys: Vec<_> = hosts.iter().flat_map(|it| it.keys.refused()).collect();
        let refused = keys.iter().filter(|(_, refusal)| refusal.is_some()).count();
        let permits = hosts.iter().map(|it| &it.concurrency_limit);
        let permits = permits.fold((0, 0, 0), |(used, limit, waiting), it| {
            (
                used + it.in_use(),
                limit + it.limit(),
                waiting + it.waiting(),
            )
        });
        let states = hosts.iter().map(|it| it.breaker.state());
        let state = states.max_by_key(|state| state.severity());
        let state = state.unwrap_or(CircuitState::Closed);
        let breaker = BREAKER_STATES.iter().find(|(one, _)| *one == state);
        StatusReport {
            at: now,
            unready: view.unready(),
            up: now.duration_since(since).unwrap_or_default(),
            in_flight: metrics.map_or(0, |it| it.in_flight.load(Relaxed)),
            per_second: window.per_second(),
            window: window.length(),
            outcomes: window.outcomes(),
            call_quantiles: [window.call(0.5), window.call(0.99)],
            overhead_quantiles: [window.overhead(0.5), window.overhead(0.99)],
            breaker: breaker.map_or("", |(_, name)| name),
            failing: hosts
                .iter()
                .flat_map(|it| failing(it, hosts.len() > 1))
                .collect(),
            permits,
            http2: hosts.iter().map(Host::http2).sum(),
            keys: (refused, keys.len()),
            rate_limits,
            errors: most_first(sum_by(&families, &m::FAILURES, a::REASON, |_| true)),
            upstream_errors: upstream_errors(&families),
            clients: clients(&families),
            failures: view.telemetry.failures(),
        }
    }
}

/// What the circuits of a host that are not closed protect, with the name of the host
/// if there are several.
fn failing(host: &Host, is_one_of_several: bool) -> Vec<String> {
    let circuits = host.breaker.states().into_iter();
    let failing = circuits.filter(|(_, state)| *state != CircuitState::Closed);
    failing
        .map(|(scope, _)| match scope {
            CircuitScope::Connection => "connection".to_owned(),
            CircuitScope::Model(model) => model.to_string(),
            CircuitScope::OtherModels => "other models".to_owned(),
        })
        .map(|scope| match is_one_of_several {
            true => format!("{}: {scope}", host.name()),
            false => scope,
        })
        .collect()
}

fn upstream_errors(families: &[Family]) -> Vec<(String, f64)> {
    let mut errors = sum_by(families, &m::ATTEMPT_DURATION, a::ERROR_TYPE, |_| true);
    errors.remove("");
    most_first(errors)
}

fn clients(families: &[Family]) -> Vec<ClientUsage> {
    let calls = sum_by(families, &m::CALL_DURATION, a::CLIENT, |_| true);
    let cost = sum_by(families, &m::COST, a::CLIENT, |_| true);
    let is_output = |point: &Point| value(point, a::TOKEN_TYPE) == "output";
    let output = sum_by(families, &m::TOKENS, a::CLIENT, is_output);
    let input = sum_by(families, &m::TOKENS, a::CLIENT, |point| !is_output(point));
    let figure = |map: &BTreeMap<String, f64>, name: &str| map.get(name).copied().unwrap_or(0.0);
    let mut clients: Vec<ClientUsage> = calls
        .iter()
        .map(|(name, calls)| ClientUsage {
            name: name.clone(),
            calls: *calls,
            input: figure(&input, name),
            output: figure(&output, name),
            cost: figure(&cost, name),
        })
        .collect();
    clients.sort_by(|one, other| other.cost.total_cmp(&one.cost));
    clients
}

fn most_first(sums: BTreeMap<String, f64>) -> Vec<(String, f64)> {
    let mut sums: Vec<_> = sums.into_iter().filter(|(_, sum)| *sum > 0.0).collect();
    sums.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    sums
}

/// The points of a metric, summed for each value of one attribute; of
/// histograms, their counts.
fn sum_by(
    families: &[Family],
    metric: &'static Metric,
    attribute: &str,
    takes: impl Fn(&Point) -> bool,
) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    let points = families
        .iter()
        .filter(|family| std::ptr::eq(family.metric, metric))
        .flat_map(|family| &family.points);
    for point in points.filter(|point| takes(point)) {
        let figure = match &point.value {
            PointValue::Number(number) => *number,
            PointValue::Histogram(histogram) => histogram.count() as f64,
        };
        *sums.entry(value(point, attribute).to_owned()).or_default() += figure;
    }
    sums
}

fn value<'a>(point: &'a Point, attribute: &str) -> &'a str {
    let found = point.attributes.iter().find(|(one, _)| *one == attribute);
    found.map_or("", |(_, value)| value)
}

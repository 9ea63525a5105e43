//! Usage, kept in memory.

use super::{
    amounts::{Correction, IN_FLIGHT_RETRY, UsageAmounts, figures},
    budgets::{BudgetFile, Period, StoredSpend},
    calendar::Date,
    exceeded::Limit,
};
use crate::models::Nanodollars;
use crate::{access::ClientLimits, token_bucket::TokenBucket};
use parking_lot::{Mutex, MutexGuard};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// The usage of all clients of this process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    clients: Mutex<HashMap<Arc<str>, Usage>>,
    file: Option<BudgetFile>,
}

/// What a client has used, as far as this process knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientSpend {
    /// Input and output tokens of the day.
    pub tokens_in_day: u64,
    /// Input and output tokens of the month.
    pub tokens_in_month: u64,
    /// Cost of the day, in billionths of a dollar.
    pub nanodollars_in_day: u64,
    /// Cost of the month, in billionths of a dollar.
    pub nanodollars_in_month: u64,
    /// Calls currently in flight.
    pub calls_in_flight: u64,
}

/// The usage of one client.
#[derive(Debug, Default)]
struct Usage {
    requests: MinuteUsage,
    input: MinuteUsage,
    output: MinuteUsage,
    in_flight: u64,
    day: Budget,
    month: Budget,
}

/// How far a bucket is from full. The limit is not stored, so that a changed
/// limit applies at once.
#[derive(Debug, Default)]
struct MinuteUsage {
    used: f64,
    at: Duration,
}

/// What was used in one day or month.
#[derive(Debug, Default, Clone, Copy)]
struct Budget {
    number: u64,
    tokens: u64,
    nanodollars: Nanodollars,
}

impl MemoryStore {
    /// A store that starts with the content of the file.
    pub fn with(file: Option<BudgetFile>, kept: Vec<StoredSpend>) -> Self {
        let mut clients: HashMap<Arc<str>, Usage> = HashMap::new();
        for kept in kept {
            let usage = clients.entry(Arc::from(kept.client)).or_default();
            let budget = match kept.period {
                Period::Day => &mut usage.day,
                Period::Month => &mut usage.month,
            };
            if kept.number >= budget.number {
                *budget = Budget {
                    number: kept.number,
                    tokens: kept.tokens,
                    nanodollars: kept.nanodollars,
                };
            }
        }
        MemoryStore {
            clients: Mutex::new(clients),
            file,
        }
    }

    /// Whether budgets survive the process.
    pub fn is_on_disk(&self) -> bool {
        self.file.is_some()
    }

    /// Reserves an amount, or returns the limits that it would exceed. `now` is
    /// the time since 1970. Returns when the reservation would survive a crash.
    pub async fn take(
        &self,
        client: &Arc<str>,
        limits: &ClientLimits,
        ask: UsageAmounts,
        now: Duration,
    ) -> Result<(), Vec<(Limit, Duration)>> {
        let date = Date::from_unix(now);
        let figures = figures(limits);
        {
            let mut clients = self.lock();
            let usage = clients.entry(Arc::clone(client)).or_default();
            usage.turn_over(date);
            let over = usage.over(&figures, &ask, now, date);
            if !over.is_empty() {
                return Err(over);
            }
            usage.charge(&figures, &ask, now);
        }
        let is_budgeted = figures[4..].iter().any(Option::is_some);
        if let (Some(file), true, true) = (&self.file, is_budgeted, ask.tokens() > 0) {
            let spent = (signed(ask.tokens()), signed(ask.nanodollars));
            file.add(client, date.day, date.month, spent).await;
        }
        Ok(())
    }

    /// Applies a correction to a reservation.
    pub fn correct(
        &self,
        client: &Arc<str>,
        limits: &ClientLimits,
        correction: Correction,
        now: Duration,
    ) {
        let figures = figures(limits);
        let tokens = correction.input.saturating_add(correction.output);
        {
            let mut clients = self.lock();
            let usage = clients.entry(Arc::clone(client)).or_default();
            usage.input.add(figures[1], correction.input as f64, now);
            usage.output.add(figures[2], correction.output as f64, now);
            usage
                .day
                .correct(correction.day, tokens, correction.nanodollars);
            usage
                .month
                .correct(correction.month, tokens, correction.nanodollars);
        }
        if let (Some(file), true) = (&self.file, figures[4..].iter().any(Option::is_some)) {
            let spent = (tokens, correction.nanodollars);
            // The reservation is on disk; the correction need not be awaited.
            drop(file.add(client, correction.day, correction.month, spent));
        }
    }

    /// What a client has used in the most recent day and month in which it used
    /// anything.
    pub fn spent(&self, client: &str) -> ClientSpend {
        let clients = self.lock();
        let Some(usage) = clients.get(client) else {
            return ClientSpend::default();
        };
        ClientSpend {
            tokens_in_day: usage.day.tokens,
            tokens_in_month: usage.month.tokens,
            nanodollars_in_day: usage.day.nanodollars,
            nanodollars_in_month: usage.month.nanodollars,
            calls_in_flight: usage.in_flight,
        }
    }

    /// Waits until all reservations are on disk.
    pub async fn flush(&self) {
        if let Some(file) = &self.file {
            file.flush().await;
        }
    }

    /// Releases a concurrent call.
    pub fn release(&self, client: &Arc<str>) {
        if let Some(usage) = self.lock().get_mut(client) {
            usage.in_flight = usage.in_flight.saturating_sub(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Usage>> {
        self.clients.lock()
    }
}

impl Usage {
    fn turn_over(&mut self, date: Date) {
        // Only forward: setting the clock back must not reset a budget.
        for (budget, number) in [(&mut self.day, date.day), (&mut self.month, date.month)] {
            if number > budget.number {
                *budget = Budget {
                    number,
                    ..Budget::default()
                };
            }
        }
    }

    fn over(
        &self,
        figures: &[Option<u64>; 8],
        ask: &UsageAmounts,
        now: Duration,
        date: Date,
    ) -> Vec<(Limit, Duration)> {
        let mut over = Vec::new();
        let buckets = [
            (Limit::RequestsPerMinute, &self.requests, ask.requests),
            (Limit::InputTokensPerMinute, &self.input, ask.input),
            (Limit::OutputTokensPerMinute, &self.output, ask.output),
        ];
        for (limit, bucket, cost) in buckets {
            if let Some(figure) = figures[limit as usize]
                && let Some(wait) = bucket.wait(figure, cost, now)
            {
                over.push((limit, wait));
            }
        }
        if let Some(figure) = figures[Limit::CallsInFlight as usize]
            && ask.in_flight > 0
            && self.in_flight + ask.in_flight > figure
        {
            over.push((Limit::CallsInFlight, IN_FLIGHT_RETRY));
        }
        let (day, month) = (&self.day, &self.month);
        let budgets = [
            (Limit::TokensPerDay, day.tokens, ask.tokens(), date.day_left),
            (
                Limit::TokensPerMonth,
                month.tokens,
                ask.tokens(),
                date.month_left,
            ),
            (
                Limit::DollarsPerDay,
                day.nanodollars,
                ask.nanodollars,
                date.day_left,
            ),
            (
                Limit::DollarsPerMonth,
                month.nanodollars,
                ask.nanodollars,
                date.month_left,
            ),
        ];
        for (limit, used, cost, left) in budgets {
            if let Some(figure) = figures[limit as usize]
                && cost > 0
                && used.saturating_add(cost) > figure
            {
                over.push((limit, left));
            }
        }
        over
    }

    fn charge(&mut self, figures: &[Option<u64>; 8], ask: &UsageAmounts, now: Duration) {
        self.requests.add(figures[0], ask.requests as f64, now);
        self.input.add(figures[1], ask.input as f64, now);
        self.output.add(figures[2], ask.output as f64, now);
        self.in_flight += ask.in_flight;
        for budget in [&mut self.day, &mut self.month] {
            budget.tokens = budget.tokens.saturating_add(ask.tokens());
            budget.nanodollars = budget.nanodollars.saturating_add(ask.nanodollars);
        }
    }
}

impl MinuteUsage {
    fn bucket(&self, limit: u64, now: Duration) -> TokenBucket {
        let limit = limit as f64;
        let mut bucket = TokenBucket::with_level(limit, limit - self.used);
        bucket.refill(now.saturating_sub(self.at));
        bucket
    }

    /// How long a call must wait; `None` when it can start. A call larger than
    /// the limit starts when nothing else is used, and leaves a debt.
    fn wait(&self, limit: u64, cost: u64, now: Duration) -> Option<Duration> {
        if cost == 0 {
            return None;
        }
        if limit == 0 {
            return Some(Duration::from_secs(60));
        }
        let wait = self.bucket(limit, now).ready_in(cost as f64);
        // Rounded up, so that a retry does not come a moment too early.
        let millis = wait.as_nanos().div_ceil(1_000_000);
        (millis > 0).then(|| Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }

    fn add(&mut self, limit: Option<u64>, cost: f64, now: Duration) {
        let Some(limit) = limit else {
            return;
        };
        let mut bucket = self.bucket(limit, now);
        bucket.take(cost);
        *self = MinuteUsage {
            used: bucket.used(),
            at: now,
        };
    }
}

impl Budget {
    fn correct(&mut self, number: u64, tokens: i64, nanodollars: i64) {
        if self.number == number {
            self.tokens = self.tokens.saturating_add_signed(tokens);
            self.nanodollars = self.nanodollars.saturating_add_signed(nanodollars);
        }
    }
}

fn signed(figure: u64) -> i64 {
    i64::try_from(figure).unwrap_or(i64::MAX)
}

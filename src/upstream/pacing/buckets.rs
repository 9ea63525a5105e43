//! The API's buckets for one key and model.

use super::bucket::{ApiBucket, Cost};
use crate::upstream::{Bucket, RateLimits};
use std::time::Duration;
use tokio::time::Instant;

/// The API rounds tokens to thousands.
const TOKEN_ROUNDING: f64 = 1000.0;

/// A request that is only partly refilled.
const REQUEST_ROUNDING: f64 = 1.0;

/// The buckets that the API reported.
#[derive(Debug, Clone, Copy)]
pub struct Buckets {
    requests: Option<ApiBucket>,
    input_tokens: Option<ApiBucket>,
    output_tokens: Option<ApiBucket>,
}

/// Levels of the buckets; 0 if a bucket is absent.
pub type Levels = Cost;

impl Buckets {
    /// The buckets as reported by the API.
    pub fn new(reported: &RateLimits) -> Self {
        let now = Instant::now();
        let bucket = |reported: &Option<_>, rounding| {
            let reported = reported.as_ref()?;
            Some(ApiBucket::new(reported, rounding, now))
        };
        Buckets {
            requests: bucket(&reported.requests, REQUEST_ROUNDING),
            input_tokens: bucket(&reported.input_tokens, TOKEN_ROUNDING),
            output_tokens: bucket(&reported.output_tokens, TOKEN_ROUNDING),
        }
    }

    /// Buckets with these levels and limits.
    pub fn of(figures: [Option<(f64, f64)>; 3]) -> Self {
        let now = Instant::now();
        let bucket = |figures: Option<(f64, f64)>, rounding| {
            let (level, limit) = figures?;
            Some(ApiBucket::with(limit, level, rounding, now))
        };
        let [requests, input_tokens, output_tokens] = figures;
        Buckets {
            requests: bucket(requests, REQUEST_ROUNDING),
            input_tokens: bucket(input_tokens, TOKEN_ROUNDING),
            output_tokens: bucket(output_tokens, TOKEN_ROUNDING),
        }
    }

    /// The full buckets of a host that reports nothing. What refills in a second stays in
    /// reserve: the host counts a request when it arrives, and no answer corrects us.
    pub fn assumed(limits: &RateLimits) -> Self {
        const RESERVE: f64 = 1.0 / 60.0;
        let full = |limits: Option<Bucket>| {
            let limit = limits?.limit as f64 * (1.0 - RESERVE);
            Some((limit, limit))
        };
        Buckets::of([limits.requests, limits.input_tokens, limits.output_tokens].map(full))
    }

    /// A host that reports nothing has rejected a call that reserved `charged`, and will
    /// be returned it: of one bucket there was less than the call needed, and it is most
    /// likely the one of which the smallest part is left.
    pub fn empty_one(&mut self, charged: Cost) {
        let each = [
            (&mut self.requests, charged.requests),
            (&mut self.input_tokens, charged.input_tokens),
            (&mut self.output_tokens, charged.output_tokens),
        ];
        let known = each
            .into_iter()
            .filter_map(|(bucket, charged)| Some((bucket.as_mut()?, charged)));
        let part = |bucket: &ApiBucket| bucket.level() / bucket.limit();
        let lowest = known.min_by(|(one, _), (other, _)| part(one).total_cmp(&part(other)));
        if let Some((bucket, charged)) = lowest {
            bucket.take((bucket.level() + charged).max(0.0));
        }
    }

    /// Adds the buckets of others that are not known here.
    pub fn add_unknown(&mut self, others: &Buckets) {
        self.requests = self.requests.or(others.requests);
        self.input_tokens = self.input_tokens.or(others.input_tokens);
        self.output_tokens = self.output_tokens.or(others.output_tokens);
    }

    /// Refills up to now.
    pub fn refill(&mut self) {
        let now = Instant::now();
        self.each(Cost::default(), |bucket, _| bucket.refill(now));
    }

    /// Takes a cost; a negative one is returned.
    pub fn take(&mut self, cost: Cost) {
        self.each(cost, ApiBucket::take);
    }

    /// The largest part of a limit that a cost is.
    pub fn part(&self, cost: Cost) -> f64 {
        let part = |bucket: &Option<ApiBucket>, amount: f64| {
            let limit = bucket.as_ref().map_or(f64::INFINITY, ApiBucket::limit);
            amount / limit
        };
        part(&self.requests, cost.requests)
            .max(part(&self.input_tokens, cost.input_tokens))
            .max(part(&self.output_tokens, cost.output_tokens))
    }

    /// Time until a cost fits.
    pub fn ready_in(&mut self, cost: Cost) -> Duration {
        let mut longest = Duration::ZERO;
        self.each(cost, |bucket, amount| {
            longest = longest.max(bucket.ready_in(amount));
        });
        longest
    }

    /// Time until calls with this total cost have had their turns, while others
    /// take `others` per second before them.
    pub fn ready_in_turn(&mut self, cost: Cost, others: Cost) -> Duration {
        let mut longest = Duration::ZERO;
        let each = [
            (&self.requests, cost.requests, others.requests),
            (&self.input_tokens, cost.input_tokens, others.input_tokens),
            (
                &self.output_tokens,
                cost.output_tokens,
                others.output_tokens,
            ),
        ];
        for (bucket, amount, others) in each {
            if let Some(bucket) = bucket {
                longest = longest.max(bucket.ready_in_turn(amount, others));
            }
        }
        longest
    }

    /// The levels as of the last refill.
    pub fn levels(&self) -> Levels {
        let level = |bucket: &Option<ApiBucket>| bucket.as_ref().map_or(0.0, ApiBucket::level);
        Levels {
            requests: level(&self.requests),
            input_tokens: level(&self.input_tokens),
            output_tokens: level(&self.output_tokens),
        }
    }

    /// Level and limit of each bucket that is known: requests, input tokens,
    /// output tokens.
    pub fn figures(&self) -> [Option<(f64, f64)>; 3] {
        [&self.requests, &self.input_tokens, &self.output_tokens]
            .map(|bucket| bucket.map(|it| (it.level(), it.limit())))
    }

    /// Adopts the API's report where it differs (see [`ApiBucket::correct`]),
    /// after a call that reserved `charged`.
    pub fn correct(&mut self, reported: &RateLimits, at_reservation: &Levels, charged: Cost) {
        let refused = reported.refused;
        let fresh = Buckets::new(reported);
        let each = [
            (
                &mut self.requests,
                fresh.requests,
                &reported.requests,
                at_reservation.requests,
                charged.requests,
            ),
            (
                &mut self.input_tokens,
                fresh.input_tokens,
                &reported.input_tokens,
                at_reservation.input_tokens,
                charged.input_tokens,
            ),
            (
                &mut self.output_tokens,
                fresh.output_tokens,
                &reported.output_tokens,
                at_reservation.output_tokens,
                charged.output_tokens,
            ),
        ];
        for (bucket, fresh, reported, at_reservation, charged) in each {
            match (bucket, reported) {
                // The rejection is about another limit, such as that of a feature.
                (Some(bucket), Some(reported))
                    if refused && bucket.limit() != reported.limit as f64 => {}
                (Some(bucket), Some(reported)) if refused => {
                    bucket.correct_refused(reported, at_reservation, charged);
                }
                (Some(bucket), Some(reported)) => bucket.correct(reported, at_reservation),
                (bucket @ None, Some(_)) => *bucket = fresh,
                (_, None) => {}
            }
        }
    }

    fn each(&mut self, amounts: Cost, mut act: impl FnMut(&mut ApiBucket, f64)) {
        let each = [
            (&mut self.requests, amounts.requests),
            (&mut self.input_tokens, amounts.input_tokens),
            (&mut self.output_tokens, amounts.output_tokens),
        ];
        for (bucket, amount) in each {
            if let Some(bucket) = bucket {
                act(bucket, amount);
            }
        }
    }
}

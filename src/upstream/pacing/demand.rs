//! The recent rate at which calls of one kind take from the buckets.

use super::bucket::Cost;
use std::time::Duration;
use tokio::time::Instant;

/// Approximately how long a call is remembered.
const MEMORY: Duration = Duration::from_secs(10);

/// A decaying sum of costs, and so a rate.
#[derive(Debug, Default)]
pub struct Demand {
    sum: Cost,
    at: Option<Instant>,
}

impl Demand {
    /// Adds the cost of a call; a negative cost was returned.
    pub fn add(&mut self, cost: Cost) {
        self.sum = self.decayed().plus(cost);
        self.at = Some(Instant::now());
    }

    /// The cost per second.
    pub fn rate(&self) -> Cost {
        self.decayed().times(1.0 / MEMORY.as_secs_f64())
    }

    fn decayed(&self) -> Cost {
        let Some(at) = self.at else {
            return Cost::default();
        };
        let age = at.elapsed().as_secs_f64() / MEMORY.as_secs_f64();
        self.sum.times((-age).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_steady_demand_is_known_after_a_while_and_forgotten_later() {
        let mut demand = Demand::default();
        let one = Cost {
            requests: 1.0,
            ..Cost::default()
        };
        for _ in 0..300 {
            tokio::time::advance(Duration::from_millis(200)).await;
            demand.add(one);
        }
        let rate = demand.rate().requests;
        assert!((4.8..=5.2).contains(&rate), "{rate}");
        tokio::time::advance(MEMORY * 5).await;
        assert!(demand.rate().requests < 0.1);
    }
}

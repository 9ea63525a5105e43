//! Which hosts may serve a call, in which order.

mod config;

pub use config::{RouteConfig, RoutedRpc, TargetConfig, check, is_model_id};

use super::Host;
use crate::upstream::{Call, KeyAffinity};
use std::{borrow::Cow, cmp::Reverse, collections::HashMap, sync::Arc};

/// The routes of all RPCs.
#[derive(Debug)]
pub struct Routes {
    of_rpcs: HashMap<RoutedRpc, Arc<Route>>,
    /// For all other RPCs.
    others: Arc<Route>,
    /// All hosts, in their order.
    everywhere: Vec<RouteTarget>,
}

/// The targets of some RPCs, in their order.
#[derive(Debug)]
pub struct Route {
    targets: Vec<RouteTarget>,
    is_weighted: bool,
}

/// A host of a route, and what it is asked for.
#[derive(Debug, Clone)]
pub struct RouteTarget {
    /// Index of the host.
    pub host: usize,
    /// The model instead of the one that the call names.
    pub model: Option<Arc<str>>,
    weight: u32,
}

// === impl Routes ===

impl Routes {
    /// The configured routes. RPCs without one go to all hosts, in their order.
    pub fn new(routes: &[RouteConfig], hosts: &[Host]) -> Self {
        let target = |host| RouteTarget {
            host,
            model: None,
            weight: 0,
        };
        let everywhere: Vec<_> = (0..hosts.len()).map(target).collect();
        let mut others = Arc::new(Route::of(everywhere.clone()));
        let mut of_rpcs = HashMap::new();
        for route in routes {
            let targets = route
                .targets
                .iter()
                .filter_map(|it| RouteTarget::of(it, hosts));
            let built = Arc::new(Route::of(targets.collect()));
            match route.rpcs[..] {
                [] => others = built,
                ref rpcs => of_rpcs.extend(rpcs.iter().map(|rpc| (*rpc, Arc::clone(&built)))),
            }
        }
        Routes {
            of_rpcs,
            others,
            everywhere,
        }
    }

    /// All hosts, in their order.
    pub fn everywhere(&self) -> Cow<'_, [RouteTarget]> {
        Cow::Borrowed(&self.everywhere)
    }

    /// The targets of a call, the first one first.
    pub fn targets(&self, call: &Call) -> Cow<'_, [RouteTarget]> {
        let route = self.of_rpcs.get(&call.rpc).unwrap_or(&self.others);
        match call.is_bound {
            // What it refers to is where the route begins.
            true => Cow::Borrowed(&route.targets),
            false => route.targets_of(call.affinity),
        }
    }
}

impl Route {
    fn of(targets: Vec<RouteTarget>) -> Self {
        Route {
            is_weighted: targets.iter().any(|target| target.weight > 0),
            targets,
        }
    }

    /// With weights, a conversation stays with its first host, so that its prompt cache
    /// is used: the order depends on what its calls have in common.
    fn targets_of(&self, affinity: KeyAffinity) -> Cow<'_, [RouteTarget]> {
        if !self.is_weighted {
            return Cow::Borrowed(&self.targets);
        }
        // Positions, so that targets at one host differ.
        let mut scored: Vec<_> = self.targets.iter().enumerate().collect();
        scored.sort_by_cached_key(|(at, target)| Reverse(target.score(*at, affinity)));
        scored
            .into_iter()
            .map(|(_, target)| target.clone())
            .collect()
    }
}

impl RouteTarget {
    fn of(target: &TargetConfig, hosts: &[Host]) -> Option<Self> {
        Some(RouteTarget {
            host: hosts
                .iter()
                .position(|host| **host.name() == *target.host)?,
            model: target.model.as_deref().map(Arc::from),
            weight: target.weight.unwrap_or(0),
        })
    }

    /// Rendezvous hashing with weights: the target has the highest score for its share
    /// of all affinities. Source: Schindelhauer and Schomaker, "Weighted Distributed
    /// Hash Tables" (2005).
    fn score(&self, position: usize, affinity: KeyAffinity) -> u64 {
        /// Separates targets from keys, which are hashed as well.
        const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
        let seed = SEED.wrapping_mul(position as u64 + 1);
        let hash = affinity.score(seed);
        // Uniform between 0 and 1, without either.
        let uniform = ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        let score = f64::from(self.weight) / -uniform.ln();
        // The bits of positive floats are in the order of their values.
        score.to_bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: usize, weight: u32) -> RouteTarget {
        RouteTarget {
            host,
            model: None,
            weight,
        }
    }

    fn first(route: &Route, conversation: usize) -> usize {
        let affinity = KeyAffinity::named(None, &conversation.to_string());
        route.targets_of(affinity)[0].host
    }

    #[test]
    fn weights_are_shares_and_a_conversation_stays() {
        const CONVERSATIONS: usize = 20_000;
        let route = Route::of(vec![target(0, 70), target(1, 20), target(2, 10)]);
        let mut counts = [0_usize; 3];
        for conversation in 0..CONVERSATIONS {
            let host = first(&route, conversation);
            assert_eq!(host, first(&route, conversation));
            counts[host] += 1;
        }
        for (count, share) in counts.into_iter().zip([0.7, 0.2, 0.1]) {
            let seen = count as f64 / CONVERSATIONS as f64;
            assert!((seen - share).abs() < 0.02, "{counts:?}");
        }
    }

    #[test]
    fn two_models_of_one_host_have_their_shares() {
        let route = Route::of(vec![target(0, 90), target(0, 10)]);
        let is_second = |conversation: &usize| {
            let affinity = KeyAffinity::named(None, &conversation.to_string());
            route.targets_of(affinity)[0].weight == 10
        };
        let second = (0..10_000).filter(is_second).count();
        assert!((800..1200).contains(&second), "{second}");
    }

    #[test]
    fn without_weights_the_order_decides() {
        let route = Route::of(vec![target(1, 0), target(0, 0)]);
        assert!((0..100).all(|conversation| first(&route, conversation) == 1));
    }
}

//! `[[upstream.routes]]`: which host serves which RPC.

use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Which hosts serve some RPCs, and in which order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouteConfig {
    /// The RPCs: `generate` (with GenerateStream and CountTokens), `summarize` (with
    /// SummarizeStream) and `classify`. Empty for all that no other route names.
    pub rpcs: Vec<RoutedRpc>,
    /// The hosts that may serve them. A call goes to the first one that can serve it,
    /// and to the next one when that host fails.
    pub targets: Vec<TargetConfig>,
}

/// A host of a route.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetConfig {
    /// Name of the host.
    pub host: String,
    /// Model that the host is asked for, instead of the one that the call names. Unset,
    /// the same model.
    pub model: Option<String>,
    /// Share of the calls that go to this host first, relative to the other weights of
    /// the route. Either all targets have a weight or none: without weights, the order
    /// decides. Must be at least 1.
    pub weight: Option<u32>,
}

/// The RPCs that routes tell apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoutedRpc {
    /// Generate, GenerateStream and CountTokens.
    #[default]
    Generate,
    /// Summarize and SummarizeStream.
    Summarize,
    /// Classify.
    Classify,
}

/// Validates the routes to hosts with these names. Calls `wrong` with the key and the
/// problem of each fault.
pub fn check(hosts: &HashSet<&str>, routes: &[RouteConfig], wrong: &mut dyn FnMut(&str, String)) {
    let mut routed = HashSet::new();
    for (index, route) in routes.iter().enumerate() {
        let mut wrong =
            |key: &str, problem: String| wrong(&format!("routes.{index}.{key}"), problem);
        route.check(hosts, &mut wrong);
        let rpcs: Vec<Option<RoutedRpc>> = match route.rpcs[..] {
            [] => vec![None],
            ref rpcs => rpcs.iter().copied().map(Some).collect(),
        };
        if !rpcs.into_iter().all(|rpc| routed.insert(rpc)) {
            wrong("rpcs", "must not be in another route as well".to_owned());
        }
    }
}

// === impl RouteConfig ===

impl RouteConfig {
    fn check(&self, hosts: &HashSet<&str>, wrong: &mut dyn FnMut(&str, String)) {
        if self.targets.is_empty() {
            wrong("targets", "must not be empty".to_owned());
        }
        let weights = self.targets.iter().filter(|it| it.weight.is_some()).count();
        if weights != 0 && weights != self.targets.len() {
            let problem = "must have a weight each, or none";
            wrong("targets", problem.to_owned());
        }
        for (index, target) in self.targets.iter().enumerate() {
            if !hosts.contains(target.host.as_str()) {
                let problem = format!("unknown host {:?}", target.host);
                wrong(&format!("targets.{index}.host"), problem);
            }
            if target.model.as_deref().is_some_and(|id| !is_model_id(id)) {
                let problem = "must be 1 to 256 printable ASCII characters";
                wrong(&format!("targets.{index}.model"), problem.to_owned());
            }
            if target.weight == Some(0) {
                let problem = "must be at least 1";
                wrong(&format!("targets.{index}.weight"), problem.to_owned());
            }
        }
    }
}

/// Whether a text may be the id of a model.
pub fn is_model_id(id: &str) -> bool {
    (1..=256).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(hosts: &[&str], routes: &[RouteConfig]) -> Vec<String> {
        let mut keys = Vec::new();
        let hosts = hosts.iter().copied().collect();
        check(&hosts, routes, &mut |key, _| keys.push(key.to_owned()));
        keys
    }

    #[test]
    fn a_route_names_hosts_that_exist_and_each_rpc_once() {
        let to = |host: &str, weight| TargetConfig {
            host: host.to_owned(),
            weight,
            ..TargetConfig::default()
        };
        let route = |rpcs: &[RoutedRpc], targets: &[TargetConfig]| RouteConfig {
            rpcs: rpcs.to_vec(),
            targets: targets.to_vec(),
        };
        let hosts = ["h"];
        let good = route(&[RoutedRpc::Classify], &[to("h", None)]);
        assert!(wrong(&hosts, std::slice::from_ref(&good)).is_empty());
        assert_eq!(wrong(&hosts, &[good.clone(), good]), ["routes.1.rpcs"]);
        let unknown = route(&[], &[to("other", None)]);
        assert_eq!(wrong(&hosts, &[unknown]), ["routes.0.targets.0.host"]);
        assert_eq!(wrong(&hosts, &[route(&[], &[])]), ["routes.0.targets"]);
        let weights = route(&[], &[to("h", Some(1)), to("h", None)]);
        assert_eq!(wrong(&hosts, &[weights]), ["routes.0.targets"]);
        let zero = route(&[], &[to("h", Some(0))]);
        assert_eq!(wrong(&hosts, &[zero]), ["routes.0.targets.0.weight"]);
    }
}

//! Which calls are traced: `OTEL_TRACES_SAMPLER` and its argument, implemented
//! by the samplers of the SDK.

use super::context::RemoteParent;
use opentelemetry::{TraceId, trace::SpanKind};
use opentelemetry_sdk::trace::{Sampler as OfSdk, SamplingDecision, ShouldSample};

/// Decides whether a call is traced. The SDK reads the variables only for spans
/// that its own tracer starts; those of calls are created when the calls end.
#[derive(Debug, Clone)]
pub struct Sampler {
    /// Whether the caller's decision takes precedence.
    parent_based: bool,
    root: OfSdk,
}

/// Which calls may be exemplars of the metrics that count them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExemplarFilter {
    /// Traced calls.
    #[default]
    TraceBased,
    /// All calls.
    AlwaysOn,
    /// No calls.
    AlwaysOff,
}

// === impl Sampler ===

impl Default for Sampler {
    /// Samples every call, unless its caller decided otherwise: the default of
    /// the specification.
    fn default() -> Self {
        Sampler {
            parent_based: true,
            root: OfSdk::AlwaysOn,
        }
    }
}

impl Sampler {
    /// The sampler that the variables name.
    ///
    /// # Errors
    /// Fails when the name is unknown or the argument is invalid.
    pub fn named(name: &str, argument: Option<&str>) -> Result<Self, String> {
        let (parent_based, kind) = match name.strip_prefix("parentbased_") {
            Some(kind) => (true, kind),
            None => (false, name),
        };
        let root = match kind {
            "always_on" => OfSdk::AlwaysOn,
            "always_off" => OfSdk::AlwaysOff,
            "traceidratio" => OfSdk::TraceIdRatioBased(ratio(argument)?),
            _ => return Err(format!("unknown sampler {name:?}")),
        };
        Ok(Sampler { parent_based, root })
    }

    /// Whether a call is traced.
    pub fn samples(&self, trace: TraceId, parent: Option<&RemoteParent>) -> bool {
        if let Some(parent) = parent.filter(|_| self.parent_based) {
            // As the parent-based sampler of the SDK decides, without building
            // the context that it expects.
            return parent.sampled;
        }
        let sampled = self
            .root
            .should_sample(None, trace, "", &SpanKind::Server, &[], &[]);
        sampled.decision == SamplingDecision::RecordAndSample
    }

    /// The equivalent sampler of the SDK.
    pub fn of_sdk(&self) -> OfSdk {
        match self.parent_based {
            true => OfSdk::ParentBased(Box::new(self.root.clone())),
            false => self.root.clone(),
        }
    }
}

// === impl ExemplarFilter ===

impl ExemplarFilter {
    /// Whether a call may be an exemplar.
    pub fn accepts(self, is_traced: bool) -> bool {
        match self {
            ExemplarFilter::TraceBased => is_traced,
            ExemplarFilter::AlwaysOn => true,
            ExemplarFilter::AlwaysOff => false,
        }
    }
}

fn ratio(argument: Option<&str>) -> Result<f64, String> {
    let Some(argument) = argument else {
        return Ok(1.0);
    };
    match argument.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err(format!(
            "the argument must be a ratio from 0 to 1, not {argument:?}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::context::{new_span_id, new_trace_id};

    fn share(sampler: &Sampler, parent: Option<&RemoteParent>) -> usize {
        (0..10_000)
            .filter(|_| sampler.samples(new_trace_id(), parent))
            .count()
    }

    #[test]
    fn a_ratio_takes_its_share() {
        let ratio = Sampler::named("traceidratio", Some("0.25")).unwrap();
        assert!((2_200..2_800).contains(&share(&ratio, None)));
        assert_eq!(share(&Sampler::named("always_off", None).unwrap(), None), 0);
        let all = Sampler::named("traceidratio", None).unwrap();
        assert_eq!(share(&all, None), 10_000);
    }

    #[test]
    fn a_parent_decides_where_it_may() {
        let sampled = RemoteParent {
            trace: new_trace_id(),
            span: new_span_id(),
            sampled: true,
            state: None,
        };
        let off = Sampler::named("parentbased_always_off", None).unwrap();
        assert_eq!(share(&off, Some(&sampled)), 10_000);
        let alone = Sampler::named("always_off", None).unwrap();
        assert_eq!(share(&alone, Some(&sampled)), 0);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Sampler::named("jaeger_remote", None).is_err());
        for ratio in ["", "2", "-1", "NaN", "lots"] {
            assert!(Sampler::named("traceidratio", Some(ratio)).is_err());
        }
    }
}

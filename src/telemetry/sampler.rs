//! Which calls are traced: `OTEL_TRACES_SAMPLER` and its argument.

use super::context::{Parent, TraceId};

/// Decides whether a call is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampler {
    /// Whether the caller's decision goes before ours.
    parent_based: bool,
    /// Traces whose id is below are taken, of 2^63.
    below: u64,
}

const ALL: u64 = 1 << 63;

// === impl Sampler ===

impl Sampler {
    /// Takes every call, unless its caller has decided otherwise: the
    /// specification's default.
    pub const PARENT_BASED_ALWAYS_ON: Sampler = Sampler {
        parent_based: true,
        below: ALL,
    };

    /// The sampler of a name and its argument.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn named(name: &str, argument: Option<&str>) -> Result<Self, String> {
        let (parent_based, kind) = match name.strip_prefix("parentbased_") {
            Some(kind) => (true, kind),
            None => (false, name),
        };
        let below = match kind {
            "always_on" => ALL,
            "always_off" => 0,
            "traceidratio" => below(argument)?,
            _ => return Err(format!("{name:?} is no sampler of this service")),
        };
        Ok(Sampler {
            parent_based,
            below,
        })
    }

    /// Whether a call is traced.
    pub fn samples(&self, trace: TraceId, parent: Option<&Parent>) -> bool {
        match parent {
            Some(parent) if self.parent_based => parent.sampled,
            _ => trace.low() >> 1 < self.below,
        }
    }
}

fn below(argument: Option<&str>) -> Result<u64, String> {
    let Some(argument) = argument else {
        return Ok(ALL);
    };
    match argument.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok((ratio * ALL as f64) as u64),
        _ => Err(format!("{argument:?} is no ratio from 0 to 1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(sampler: Sampler, parent: Option<&Parent>) -> usize {
        (0..10_000)
            .filter(|_| sampler.samples(TraceId::random(), parent))
            .count()
    }

    #[test]
    fn a_ratio_takes_its_share() {
        let ratio = Sampler::named("traceidratio", Some("0.25")).unwrap();
        assert!((2_200..2_800).contains(&share(ratio, None)));
        assert_eq!(share(Sampler::named("always_off", None).unwrap(), None), 0);
        let all = Sampler::named("traceidratio", None).unwrap();
        assert_eq!(share(all, None), 10_000);
    }

    #[test]
    fn a_parent_decides_where_it_may() {
        let sampled = Parent {
            trace: TraceId::random(),
            span: crate::telemetry::context::SpanId::random(),
            sampled: true,
            state: None,
        };
        let off = Sampler::named("parentbased_always_off", None).unwrap();
        assert_eq!(share(off, Some(&sampled)), 10_000);
        let alone = Sampler::named("always_off", None).unwrap();
        assert_eq!(share(alone, Some(&sampled)), 0);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Sampler::named("jaeger_remote", None).is_err());
        for ratio in ["", "2", "-1", "NaN", "lots"] {
            assert!(Sampler::named("traceidratio", Some(ratio)).is_err());
        }
    }
}

//! The limits that are assumed until the host reports some.

use super::HostRateLimits;
use crate::{models::name_of, upstream::RateLimits};
use std::{collections::HashMap, sync::Arc};

/// The configured limits of a host.
#[derive(Debug, Default)]
pub struct AssumedLimits {
    others: RateLimits,
    /// By the ids of the models on the host, and by their names.
    of_models: HashMap<Arc<str>, RateLimits>,
}

impl AssumedLimits {
    /// These limits, of models whose ids on the host `id_on` knows.
    pub fn new(config: &HostRateLimits, id_on: impl Fn(&Arc<str>) -> Option<Arc<str>>) -> Self {
        let mut of_models = HashMap::new();
        for (model, limits) in &config.models {
            let model = Arc::from(model.as_str());
            of_models.extend(id_on(&model).map(|id| (id, limits.full())));
            of_models.insert(Arc::from(name_of(&model)), limits.full());
        }
        AssumedLimits {
            others: config.of_others(),
            of_models,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.others.is_empty() && self.of_models.is_empty()
    }

    /// Those of a model, by its id on the host; `None` if there are none.
    pub fn of(&self, model: &str) -> Option<&RateLimits> {
        let of_model = self.of_models.get(model);
        let of_model = of_model.or_else(|| self.of_models.get(name_of(model)));
        Some(of_model.unwrap_or(&self.others)).filter(|limits| !limits.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::pacing::config::ModelRateLimits;

    #[test]
    fn a_model_has_its_own_limits_under_each_of_its_ids() {
        let mut config = HostRateLimits {
            requests_per_minute: Some(60),
            ..HostRateLimits::default()
        };
        let haiku = ModelRateLimits {
            requests_per_minute: Some(7),
            ..ModelRateLimits::default()
        };
        config.models.insert("claude-haiku-4-5".to_owned(), haiku);
        config
            .models
            .insert("claude-opus-5".to_owned(), ModelRateLimits::default());
        let on_host = |model: &Arc<str>| Some(Arc::from(format!("deployment-of-{model}")));
        let limits = AssumedLimits::new(&config, on_host);
        let of = |model| {
            limits
                .of(model)
                .and_then(|it| it.requests)
                .map(|it| it.limit)
        };
        assert_eq!(of("deployment-of-claude-haiku-4-5"), Some(7));
        assert_eq!(of("eu.anthropic.claude-haiku-4-5-20251001-v1:0"), Some(7));
        assert_eq!(of("claude-sonnet-4-5"), Some(60));
        assert_eq!(of("claude-opus-5"), None);
        assert!(!limits.is_empty() && AssumedLimits::default().is_empty());
    }
}

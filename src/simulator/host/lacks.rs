//! What a host refuses because it lacks it.

use super::SimulatedHost;
use crate::{
    claude::request::MessagesRequest,
    host_features::{LackedFeatures, Needs},
    models::KnownModel,
    simulator::error::ApiError,
};
use http::HeaderMap;
use serde_json::{Map, Value};

impl SimulatedHost {
    /// Refuses a request, with the fields that were not read into it, that needs what the
    /// host lacks.
    ///
    /// # Errors
    /// 400 that names the feature.
    pub(in crate::simulator) fn refuse_lacking(
        self,
        request: &MessagesRequest,
        others: &Map<String, Value>,
        headers: &HeaderMap,
        model: &KnownModel,
    ) -> Result<(), ApiError> {
        let lacked = LackedFeatures::of(self.name(), &[], &[]);
        if lacked.is_empty() {
            return Ok(());
        }
        let mut needs = Needs::of(request, &[]);
        for (name, value) in others {
            needs.add_field(name, value);
        }
        let betas = headers.get_all("anthropic-beta").iter();
        let betas = betas.filter_map(|value| value.to_str().ok());
        for beta in betas.flat_map(|value| value.split(',')) {
            needs.add_beta(beta.trim());
        }
        match lacked.first_of(needs, &model.name) {
            None => Ok(()),
            Some(feature) => Err(ApiError::invalid(format!(
                "{}: is not supported on {}",
                feature.name(),
                self.name()
            ))),
        }
    }
}

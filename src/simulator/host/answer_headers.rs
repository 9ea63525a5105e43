//! The headers that each answer of a host has.

use super::kind::SimulatedHost;
use http::{HeaderMap, HeaderValue};

impl SimulatedHost {
    /// The id of the request of this number.
    pub(in crate::simulator) fn request_id(self, number: u64) -> String {
        match self {
            SimulatedHost::Vertex => format!("req_vrtx_sim_{number:012}"),
            _ => format!("req_sim_{number:012}"),
        }
    }

    /// Adds the ids of a request, of this number.
    pub(in crate::simulator) fn add_ids(self, number: u64, headers: &mut HeaderMap) {
        let of_claude = self.request_id(number);
        let of_cloud = format!("00000000-0000-4000-8000-{number:012x}");
        let ids: &[(&'static str, &str)] = match self {
            SimulatedHost::Claude | SimulatedHost::Vertex | SimulatedHost::GoogleCloud => {
                &[("request-id", &of_claude)]
            }
            SimulatedHost::ClaudePlatformAws => {
                &[("request-id", &of_claude), ("x-amzn-requestid", &of_cloud)]
            }
            SimulatedHost::BedrockMantle | SimulatedHost::BedrockRuntime => {
                &[("x-amzn-requestid", &of_cloud)]
            }
            SimulatedHost::Foundry => &[
                ("request-id", &of_claude),
                ("apim-request-id", &of_cloud),
                ("x-ms-request-id", &of_cloud),
            ],
        };
        for (name, id) in ids {
            if let Ok(id) = HeaderValue::from_str(id) {
                headers.insert(*name, id);
            }
        }
        if self.sends_rate_limits() {
            // The organization is known where the limits are its.
            headers.insert(
                "anthropic-organization-id",
                HeaderValue::from_static("00000000-0000-4000-8000-000000000000"),
            );
        }
    }
}

//! Whether the server takes calls (`grpc.health.v1`).
//!
//! It says whether *this server* does. It does not follow the health of the
//! Claude API: an outage there must not take every replica out of service.

use crate::proto::SERVICE_NAME;
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

/// Health of the whole server (the empty name) and of the one service.
const NAMES: [&str; 2] = ["", SERVICE_NAME];

/// The health service, and what it says.
#[derive(Clone)]
pub struct HealthServices {
    reporter: HealthReporter,
}

impl HealthServices {
    /// Says NOT_SERVING until told otherwise.
    pub async fn new() -> Self {
        let health = HealthServices {
            reporter: HealthReporter::new(),
        };
        health.set_status(ServingStatus::NotServing).await;
        health
    }

    /// Says whether the server takes calls.
    pub async fn set_status(&self, status: ServingStatus) {
        for name in NAMES {
            self.reporter.set_service_status(name, status).await;
        }
    }

    /// The gRPC service.
    pub fn server(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }
}

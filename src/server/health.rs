//! Whether the server accepts calls (`grpc.health.v1`).
//!
//! This reports the health of *this server*, not of the Claude API: an outage
//! there must not take every replica out of service.

use crate::{
    proto::{
        SERVICE_NAME,
        health::{
            HealthListRequest, HealthListResponse,
            health_server::{Health, HealthServer},
        },
    },
    status,
};
use futures::{
    StreamExt,
    future::ready,
    stream::{self, BoxStream},
};
use std::collections::HashMap;
use tonic::{Code, Request, Response, Status};
use tonic_health::{
    ServingStatus,
    pb::{
        HealthCheckRequest, HealthCheckResponse, health_check_response,
        health_server::Health as LibraryHealth,
    },
    server::{HealthReporter, HealthService},
};

/// Health of the whole server (the empty name) and of the service.
const NAMES: [&str; 2] = ["", SERVICE_NAME];

/// Maximum size of a request, in bytes: the name of a service. The gRPC library
/// reserves the size that a message declares, and anybody may declare one.
const MAX_MESSAGE_BYTES: usize = 256;

/// The health service and its current status.
#[derive(Clone)]
pub struct HealthServices {
    reporter: HealthReporter,
}

impl HealthServices {
    /// Reports NOT_SERVING until [`set_status`](Self::set_status).
    pub async fn new() -> Self {
        let health = HealthServices {
            reporter: HealthReporter::new(),
        };
        health.set_status(ServingStatus::NotServing).await;
        health
    }

    /// Sets the reported status.
    pub async fn set_status(&self, status: ServingStatus) {
        for name in NAMES {
            self.reporter.set_service_status(name, status).await;
        }
    }

    /// The gRPC service to be added to the routes.
    pub fn server(&self) -> HealthServer<HealthRpcs> {
        let service = HealthService::from_health_reporter(self.reporter.clone());
        HealthServer::new(HealthRpcs(service)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }
}

/// The health service. That of the library has no `List`, ends a watch of an
/// unknown name, which the protocol keeps open, and has no error details.
#[derive(Debug)]
pub struct HealthRpcs(HealthService);

#[tonic::async_trait]
impl Health for HealthRpcs {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match self.0.check(request).await {
            Err(error) if error.code() == Code::NotFound => Err(status::service_unknown()),
            checked => checked,
        }
    }

    async fn list(
        &self,
        _: Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        let mut statuses = HashMap::new();
        for name in NAMES {
            let service = name.to_owned();
            let request = Request::new(HealthCheckRequest { service });
            let checked = self.0.check(request).await?;
            statuses.insert(name.to_owned(), checked.into_inner());
        }
        Ok(Response::new(HealthListResponse { statuses }))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        match self.0.watch(request).await {
            Ok(watch) => Ok(watch.map(StreamExt::boxed)),
            Err(status) if status.code() == Code::NotFound => {
                let unknown = HealthCheckResponse {
                    status: health_check_response::ServingStatus::ServiceUnknown.into(),
                };
                let stays = stream::once(ready(Ok(unknown))).chain(stream::pending());
                Ok(Response::new(stays.boxed()))
            }
            Err(status) => Err(status),
        }
    }
}

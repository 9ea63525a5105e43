//! What a request passes on its way in.

use super::{
    bounds::BoundsLayer, config::ServerConfig, details::DetailsLayer, drain::Drain,
    health::HealthServices, reflection, split::Split, web,
};
use crate::{
    access::{Access, AccessLayer, limits::CallLimitsLayer},
    proto::v1::claude_service_server::ClaudeServiceServer,
    service::Service,
    telemetry::Telemetry,
};
use http::{Request, Response};
use hyper::body::Incoming;
use std::convert::Infallible;
use tonic::{
    body::Body,
    codec::CompressionEncoding::{Gzip, Zstd},
    service::RoutesBuilder,
};
use tower::{Layer, ServiceBuilder, util::BoxCloneSyncService};

/// The stack as a connection uses it.
pub type Inbound = BoxCloneSyncService<Request<Incoming>, Response<Body>, Infallible>;

/// The inbound stack: one for connections that came before a drain, and one
/// for those that come during it.
#[derive(Clone)]
pub struct InboundStacks {
    /// Answers.
    pub serving: Inbound,
    /// Answers health checks; refuses calls.
    pub draining: Inbound,
}

impl InboundStacks {
    /// Both stacks over the same services.
    pub fn build(
        config: &ServerConfig,
        service: &Service,
        access: Option<Access>,
        health: &HealthServices,
        drain: &Drain,
        telemetry: &Telemetry,
    ) -> Self {
        let build = |refused| {
            let bounds = BoundsLayer {
                drain: drain.clone(),
                refused,
                max_calls: config.max_calls,
                max_deadline: config.max_deadline,
            };
            inbound(config, service, access.as_ref(), health, bounds, telemetry)
        };
        InboundStacks {
            serving: build(false),
            draining: build(true),
        }
    }
}

/// Outermost first.
fn inbound(
    config: &ServerConfig,
    service: &Service,
    access: Option<&Access>,
    health: &HealthServices,
    bounds: BoundsLayer,
    telemetry: &Telemetry,
) -> Inbound {
    let ledger = access.map(|access| access.ledger().clone());
    let access = AccessLayer::new(access.cloned(), config.max_message_bytes);
    let calls = ServiceBuilder::new()
        // Sees every status that a caller sees.
        .layer(telemetry.record_layer())
        // Whatever refuses a call below, its status gets details.
        .layer(DetailsLayer)
        // Its deadline covers reading the message as well as answering.
        .layer(bounds)
        // Last, and within the deadline: a signature is over the message, so
        // that has to be read to know who calls.
        .layer(access.clone())
        // Only who is known has limits.
        .layer(CallLimitsLayer::new(ledger))
        .service(claude_service(config, service));
    let mut routes = RoutesBuilder::default();
    routes.add_service(health.server());
    if config.serves_reflection() {
        reflection::add_to(&mut routes);
    }
    let split = Split {
        calls,
        // Reflection needs credentials, health does not.
        rest: access.layer(routes.routes()),
    };
    if config.grpc_web {
        return BoxCloneSyncService::new(web::layered(config, split));
    }
    BoxCloneSyncService::new(split)
}

/// The generated server, with its limits and its compression.
fn claude_service(config: &ServerConfig, service: &Service) -> ClaudeServiceServer<Service> {
    ClaudeServiceServer::new(service.clone())
        .max_decoding_message_size(config.max_message_bytes)
        .accept_compressed(Gzip)
        .accept_compressed(Zstd)
        .send_compressed(Gzip)
        .send_compressed(Zstd)
}

//! What a request passes on its way in.

use super::{
    admission::Admission, authenticate::Authenticate, call_limits::LimitCalls,
    config::ServerConfig, drain::Drain, error_details::AddErrorDetails, health::HealthServices,
    reflection, router::Router, web,
};
use crate::{
    access::Access, layer::rule, proto::v1::claude_service_server::ClaudeServiceServer,
    service::Rpcs, telemetry::Telemetry,
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
        service: &Rpcs,
        access: Option<Access>,
        health: &HealthServices,
        drain: &Drain,
        telemetry: &Telemetry,
    ) -> Self {
        let build = |refused| {
            let admission = Admission {
                drain: drain.clone(),
                refused,
                max_calls: config.max_calls,
                max_deadline: config.max_deadline,
            };
            inbound(
                config,
                service,
                access.as_ref(),
                health,
                admission,
                telemetry,
            )
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
    service: &Rpcs,
    access: Option<&Access>,
    health: &HealthServices,
    admission: Admission,
    telemetry: &Telemetry,
) -> Inbound {
    let usage_store = access.map(|access| access.usage_store().clone());
    let authenticate = rule(Authenticate::new(access.cloned(), config.max_message_bytes));
    let calls = ServiceBuilder::new()
        // Sees every status that a caller sees.
        .layer(telemetry.record_layer())
        // Whatever refuses a call below, its status gets details.
        .layer(rule(AddErrorDetails))
        // Its deadline covers reading the message as well as answering.
        .layer(rule(admission))
        // Within the deadline: a signature is over the message, so that must be
        // read to know who calls.
        .layer(authenticate.clone())
        // Only a known client has limits.
        .layer(rule(LimitCalls::new(usage_store)))
        .service(claude_service(config, service));
    let mut routes = RoutesBuilder::default();
    routes.add_service(health.server());
    if config.serves_reflection() {
        reflection::add_to(&mut routes);
    }
    let router = Router {
        calls,
        // Reflection needs credentials, health does not.
        rest: authenticate.layer(routes.routes()),
    };
    if config.grpc_web {
        return BoxCloneSyncService::new(web::layered(config, router));
    }
    BoxCloneSyncService::new(router)
}

/// The generated server, with its limits and its compression.
fn claude_service(config: &ServerConfig, service: &Rpcs) -> ClaudeServiceServer<Rpcs> {
    ClaudeServiceServer::new(service.clone())
        .max_decoding_message_size(config.max_message_bytes)
        .accept_compressed(Gzip)
        .accept_compressed(Zstd)
        .send_compressed(Gzip)
        .send_compressed(Zstd)
}

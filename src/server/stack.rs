//! The inbound stack: every layer that a request passes, in order.

use super::{
    admission::Admission, authenticate::Authenticate, call_limits::LimitCalls,
    config::ServerConfig, drain::Drain, error_details::AddErrorDetails, health::HealthServices,
    only_grpc::OnlyGrpc, reflection, router::Router, signed_calls::ForbidSignedRetries, web,
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
use tower::{ServiceBuilder, util::BoxCloneSyncService};

/// The stack as used by a connection.
pub type Inbound = BoxCloneSyncService<Request<Incoming>, Response<Body>, Infallible>;

/// The inbound stacks: one for connections from before a drain, and one for
/// those accepted during it.
#[derive(Clone)]
pub struct InboundStacks {
    /// Serves calls.
    pub serving: Inbound,
    /// Answers health checks; rejects calls.
    pub draining: Inbound,
}

impl InboundStacks {
    /// Builds both stacks over the same services.
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
        // Outermost, so that every status that a caller sees is recorded.
        .layer(telemetry.record_layer())
        // Outside everything that ends a call whose signature may be used.
        .layer(rule(ForbidSignedRetries))
        // Adds details to every error from below.
        .layer(rule(AddErrorDetails { in_trailers: false }))
        // The deadline covers reading the message as well as the response.
        .layer(rule(admission))
        // Inside the deadline: a signature covers the message, which must be
        // read to authenticate the caller.
        .layer(authenticate.clone())
        // Only authenticated clients have limits.
        .layer(rule(LimitCalls::new(usage_store)))
        .service(claude_service(config, service));
    let mut routes = RoutesBuilder::default();
    routes.add_service(health.server());
    if config.serves_reflection() {
        reflection::add_to(&mut routes);
    }
    let router = Router {
        calls,
        // Reflection requires credentials, health does not.
        rest: ServiceBuilder::new()
            .layer(rule(AddErrorDetails { in_trailers: true }))
            .layer(authenticate)
            .service(routes.routes()),
    };
    // Outside gRPC-Web and CORS, which pass on what they do not know.
    if config.grpc_web {
        let web = web::layered(config, router);
        return BoxCloneSyncService::new(OnlyGrpc::new(config, web));
    }
    BoxCloneSyncService::new(OnlyGrpc::new(config, router))
}

/// The generated server, with its limits and compression.
fn claude_service(config: &ServerConfig, service: &Rpcs) -> ClaudeServiceServer<Rpcs> {
    ClaudeServiceServer::new(service.clone())
        .max_decoding_message_size(config.max_message_bytes)
        .accept_compressed(Gzip)
        .accept_compressed(Zstd)
        .send_compressed(Gzip)
        .send_compressed(Zstd)
}

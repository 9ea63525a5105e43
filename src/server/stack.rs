//! The inbound stack: every layer that a request passes, in order.

use super::{
    admission::Admission, authenticate::Authenticate, call_limits::LimitCalls,
    config::ServerConfig, drain::Drain, ended_tasks::EndedTasks, error_details::AddErrorDetails,
    health::HealthServices, messages::DecompressionTurns, metadata_limit::LimitMetadata,
    only_grpc::OnlyGrpc, public_calls::LimitPublicCalls, reflection, request_body::RequestBody,
    router::Router, services::Services, signed_calls::ForbidSignedRetries, unread::UnreadResponses,
    web,
};
use crate::{
    access::Access, layer::rule, memory::MessageBudget, service::Rpcs, telemetry::Telemetry,
};
use http::{Request, Response};
use std::{convert::Infallible, sync::Arc};
use tokio::sync::Semaphore;
use tonic::{body::Body, service::RoutesBuilder};
use tower::{ServiceBuilder, util::BoxCloneSyncService};

/// The stack as used by a connection.
pub type Inbound = BoxCloneSyncService<Request<RequestBody>, Response<Body>, Infallible>;

/// The stack of a connection.
#[derive(Clone)]
pub struct ConnectionStack {
    /// What calls pass.
    pub stack: Inbound,
    /// The tasks that must end, among them those of the connection and its streams.
    pub ended_tasks: EndedTasks,
    /// Whether the connection was accepted during the drain. It is not asked to
    /// close: clients fail calls on such a connection with statuses of their
    /// own, and here each must get the one that says that it drains.
    pub draining: bool,
}

/// The inbound stacks: one for connections from before a drain, and one for
/// those accepted during it.
#[derive(Clone)]
pub struct InboundStacks {
    /// Serves calls.
    pub serving: ConnectionStack,
    /// Answers health checks; rejects calls.
    pub draining: ConnectionStack,
}

impl InboundStacks {
    /// Builds both stacks over the same services.
    pub fn build(
        config: &ServerConfig,
        service: &Rpcs,
        access: Option<Access>,
        health: &HealthServices,
        drain: &Drain,
        messages: &MessageBudget,
        telemetry: &Telemetry,
    ) -> Self {
        let ended_tasks = EndedTasks::default();
        let unread = UnreadResponses::new(config.stall_timeout, ended_tasks.clone());
        let watches = Arc::new(Semaphore::new(config.max_watches));
        let turns = DecompressionTurns::on_half_of_the_processors();
        let build = |refused| {
            let admission = Admission {
                drain: drain.clone(),
                refused,
                max_calls: config.max_calls,
                max_deadline: config.max_deadline,
                messages: messages.clone(),
                turns: turns.clone(),
                max_message_bytes: config.max_message_bytes,
                stall_timeout: config.stall_timeout,
                unread: unread.clone(),
                ended_tasks: ended_tasks.clone(),
                is_anonymous: access.is_none(),
            };
            let public_calls = LimitPublicCalls::new(Arc::clone(&watches));
            let stack = inbound(
                config,
                service,
                access.as_ref(),
                health,
                admission,
                public_calls,
                telemetry,
            );
            ConnectionStack {
                stack,
                ended_tasks: ended_tasks.clone(),
                draining: refused,
            }
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
    public_calls: LimitPublicCalls,
    telemetry: &Telemetry,
) -> Inbound {
    let usage_store = access.map(|access| access.usage_store().clone());
    let authenticate = rule(Authenticate::new(access.cloned()));
    let calls_limit = LimitCalls::new(usage_store, admission.drain.clone(), admission.max_calls);
    let calls = ServiceBuilder::new()
        // Outermost, so that every status that a caller sees is recorded.
        .layer(telemetry.record_layer())
        // Outside everything that reads or keeps metadata.
        .layer_fn(LimitMetadata::new)
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
        .layer(rule(calls_limit))
        .service(Services::new(config, service));
    let mut routes = RoutesBuilder::default();
    routes.add_service(health.server());
    if config.serves_reflection() {
        reflection::add_to(&mut routes);
    }
    let router = Router {
        calls,
        // Reflection requires credentials, health does not.
        rest: ServiceBuilder::new()
            .layer_fn(LimitMetadata::new)
            .layer(rule(AddErrorDetails { in_trailers: true }))
            // Outside authentication: health needs none.
            .layer(rule(public_calls))
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

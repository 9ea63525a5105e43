//! The generated servers of all services, as one.

use super::config::ServerConfig;
use crate::{
    proto::{
        is_of_batches, is_of_documents, is_of_files,
        v1::{
            batch_service_server::BatchServiceServer, claude_service_server::ClaudeServiceServer,
            document_service_server::DocumentServiceServer, file_service_server::FileServiceServer,
        },
    },
    service::Rpcs,
};
use http::{Request, Response};
use std::{
    convert::Infallible,
    task::{Context, Poll},
};
use tonic::{
    body::Body,
    codec::CompressionEncoding::{Deflate, Gzip, Zstd},
    codegen::{BoxFuture, StdError},
};
use tower::Service;

/// A generated server with its limits and compression. Each has a type of its own.
macro_rules! limited {
    ($server:ident, $config:expr, $rpcs:expr) => {
        $server::new($rpcs.clone())
            .max_decoding_message_size($config.max_message_bytes)
            // What grpcio and grpc-js have apart from gzip. Nobody needs it in answers.
            .accept_compressed(Deflate)
            .accept_compressed(Gzip)
            .accept_compressed(Zstd)
            .send_compressed(Gzip)
            .send_compressed(Zstd)
    };
}

/// All services, with their limits and compression.
#[derive(Clone)]
pub struct Services {
    claude: ClaudeServiceServer<Rpcs>,
    batches: BatchServiceServer<Rpcs>,
    documents: DocumentServiceServer<Rpcs>,
    files: FileServiceServer<Rpcs>,
}

impl Services {
    /// The services over these RPCs.
    pub fn new(config: &ServerConfig, rpcs: &Rpcs) -> Self {
        Services {
            claude: limited!(ClaudeServiceServer, config, rpcs),
            batches: limited!(BatchServiceServer, config, rpcs),
            documents: limited!(DocumentServiceServer, config, rpcs),
            files: limited!(FileServiceServer, config, rpcs),
        }
    }
}

impl<B> Service<Request<B>> for Services
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The generated servers are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path();
        if is_of_batches(path) {
            self.batches.call(request)
        } else if is_of_documents(path) {
            self.documents.call(request)
        } else if is_of_files(path) {
            self.files.call(request)
        } else {
            self.claude.call(request)
        }
    }
}

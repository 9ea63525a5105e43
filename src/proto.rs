//! The code generated from `proto/`, and its descriptors for reflection.

/// Messages, client and server of the package `claude.v1`.
#[allow(missing_docs, clippy::all, clippy::unwrap_used)]
pub mod v1 {
    tonic::include_proto!("claude.v1");
}

/// The encoded `FileDescriptorSet` of `proto/`, as gRPC reflection serves it.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/claude_descriptor.bin"));

/// Full name of the service, as health checks and method paths spell it.
pub const SERVICE_NAME: &str = "claude.v1.ClaudeService";

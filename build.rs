//! Compiles `proto/` and `health/` in pure Rust, so that a build needs no `protoc`.

use std::{env, fs, path::PathBuf};

use protox::prost::Message as _;

const PROTOS: [&str; 4] = [
    "proto/claude/v1/batch_service.proto",
    "proto/claude/v1/claude_service.proto",
    "proto/claude/v1/document_service.proto",
    "proto/claude/v1/file_service.proto",
];

/// `tonic-health` has no `List` yet.
const HEALTH: &str = "grpc/health/v1/health.proto";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=health");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    let health = protox::compile([HEALTH], ["health"])?;

    // Reflection serves the same descriptors that the code is made from.
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(
        out.join("claude_descriptor.bin"),
        descriptors.encode_to_vec(),
    )?;
    fs::write(out.join("health_descriptor.bin"), health.encode_to_vec())?;

    tonic_prost_build::configure()
        // Pictures and documents: no copy out of the received message.
        .bytes(".")
        // The client is used by the command line and the tests.
        .build_client(true)
        .build_server(true)
        .compile_fds(descriptors)?;
    tonic_prost_build::configure()
        .build_client(false)
        .extern_path(
            ".grpc.health.v1.HealthCheckRequest",
            "::tonic_health::pb::HealthCheckRequest",
        )
        .extern_path(
            ".grpc.health.v1.HealthCheckResponse",
            "::tonic_health::pb::HealthCheckResponse",
        )
        .compile_fds(health)?;
    Ok(())
}

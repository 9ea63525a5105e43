# The walk through the types of the Python SDK with its newest release. It fails when a
# release has something that the service neither covers nor lists as not covered.
# shellcheck shell=bash

need cargo
need python3
newest_sdk() {
    cargo build
    CLAUDE_GRPC=$target/debug/claude-grpc tests/sdk/run newest
}

step "types of the newest Python SDK" newest_sdk

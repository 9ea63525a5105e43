# Runs the official SDKs for Python and TypeScript against the simulator, and compares
# what the service reads of an answer, and what can be said to it, with the Python SDK.
# shellcheck shell=bash

need python3
need npm
sdks() {
    cargo build
    CLAUDE_GRPC="$target/debug/claude-grpc simulate --listen 127.0.0.1:0" tests/sdk/run
}

step "official SDKs" sdks

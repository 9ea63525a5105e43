# The service as Python's grpcio sees it, at its defaults and with our service config:
# errors within its limit of metadata, retries of signed calls, reflection v1alpha.
# shellcheck shell=bash

need python3
grpcio() {
    python_tools grpcio-health-checking==1.85.1 grpcio-reflection==1.85.1 grpcio-tools==1.85.1
    mkdir -p "$work/grpcio"
    "$venv/bin/python" -m grpc_tools.protoc -I proto --python_out="$work/grpcio" \
        --grpc_python_out="$work/grpcio" proto/claude/v1/*.proto
    cargo build
    CLAUDE_GRPC=$target/debug/claude-grpc PYTHONPATH=$work/grpcio \
        "$venv/bin/python" -m unittest discover --start-directory tests/grpcio
}

step "errors, retries and reflection with grpcio" grpcio

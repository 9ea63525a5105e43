# The manifests at a real API server, which is built from its Go modules once.
# shellcheck shell=bash

cargo build
step "Kubernetes API server" deployment api-server

# Tests the image, the manifests, the units and the Debian package as far as this
# machine can. What it cannot run is printed as skipped.
# shellcheck shell=bash

static_binary() {
    STATIC_BINARY=$(deploy/build-static)
    # It has the SDKs of the clouds, which one overlay requires.
    export STATIC_BINARY KMS_BINARY=$STATIC_BINARY
    ls -l "$STATIC_BINARY"
}

# One overlay has its key in AWS KMS.
manifests() {
    install_moto
    deployment manifests
}

cargo build
step "static binary" static_binary
step "image" deployment image
step "Debian package" deployment deb
step "systemd units" deployment systemd
step "Kubernetes manifests" manifests
# With the release binary, to measure the restart and not a debug build.
CLAUDE_GRPC=$STATIC_BINARY step "rolling restart" deployment rolling-restart

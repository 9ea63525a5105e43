# Tests the image, the manifests, the units and the Debian package as far as this
# machine can. What it cannot run is printed as skipped.
# shellcheck shell=bash

static_binary() {
    STATIC_BINARY=$(deploy/build-static)
    export STATIC_BINARY
    ls -l "$STATIC_BINARY"
}

# deployment SCRIPT: runs tests/deployment/SCRIPT and records what it skips.
deployment() {
    local log=$work/$1.log skip
    tests/deployment/"$1" 2>&1 | tee "$log"
    while IFS= read -r skip; do
        skipped+=("${skip/ skipped: /: }")
    done < <(sed -n 's/^--- \(.* skipped: .*\)$/\1/p' "$log")
}

cargo build
step "static binary" static_binary
step "image" deployment image
step "Debian package" deployment deb
step "systemd units" deployment systemd
step "Kubernetes manifests" deployment manifests
step "Kubernetes API server" deployment api-server
# With the release binary, to measure the restart and not a debug build.
CLAUDE_GRPC=$STATIC_BINARY step "rolling restart" deployment rolling-restart

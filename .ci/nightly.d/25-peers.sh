# The servers of .ci/steps/56-peers.sh with more limits of streams, and more ways
# to drain connections.
# shellcheck shell=bash

need cargo
need go
packages nginx-light
step "HTTP/2 of Go and nginx, for longer" \
    cargo test --test peers -- --ignored --test-threads 1 nightly

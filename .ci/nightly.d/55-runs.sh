# Runs of the command line over many documents: how long they take, and many kills of
# the service and the client.
# shellcheck shell=bash

need cargo
step "runs over many documents" cargo test --test runs -- --ignored --nocapture
step "fifty kills in one run" env DOCUMENTS=3000 KILLS=50 cargo test --test runs -- --nocapture killed

# Runs of the command line over many documents: how long they take, and many kills of
# the service and the client. Then a document of 100 MB.
# shellcheck shell=bash

need cargo
step "runs over many documents" cargo test --test runs -- --ignored --nocapture
step "fifty kills in one run" env DOCUMENTS=3000 KILLS=50 cargo test --test runs -- --nocapture killed
step "fifty kills of a run with batches" env KILLS=50 cargo test --test runs -- --nocapture no_batch
step "a document of 100 MB" env MEGABYTES=100 cargo test --test runs -- --nocapture held_by_neither_side

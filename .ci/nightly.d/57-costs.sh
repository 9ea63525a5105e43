# What a thousand classifications cost with the prompt cache: in calls, and in batches.
# shellcheck shell=bash

need cargo
step "a thousand classifications" cargo test --test service -- --ignored --nocapture prompt_costs
step "a thousand classifications in batches" env DOCUMENTS=1000 cargo test --test runs -- --nocapture a_batch_reads

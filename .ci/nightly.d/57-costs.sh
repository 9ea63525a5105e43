# What a thousand classifications cost with the prompt cache.
# shellcheck shell=bash

need cargo
step "a thousand classifications" cargo test --test service -- --ignored --nocapture prompt_costs

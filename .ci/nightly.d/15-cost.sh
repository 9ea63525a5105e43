# What a call costs: instructions, allocations and clock reads, against the
# counts in benches/cost/costs.toml.
# shellcheck shell=bash

cost() {
    packages valgrind || true
    need valgrind
    cargo bench --bench cost -- check
}

step "what a call costs" cost

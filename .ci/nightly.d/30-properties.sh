# The property tests with a hundred times the cases of `cargo test`.
# shellcheck shell=bash

need cargo
# Those that set their own number of cases keep it.
step "property tests, 25,600 cases each" env PROPTEST_CASES=25600 cargo test --lib

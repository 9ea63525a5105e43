# Lints of the default features: .ci/run looks at all of them.
# shellcheck shell=bash

need cargo
step "cargo clippy, default features" cargo clippy --all-targets -- -D warnings

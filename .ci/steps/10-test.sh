# README's second command, as it stands there.
# shellcheck shell=bash

need cargo
step "cargo test" cargo test

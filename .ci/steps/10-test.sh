# The second command of README.
# shellcheck shell=bash

need cargo
step "cargo test" cargo test

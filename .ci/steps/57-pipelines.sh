# The jobs of examples/pipelines, with stand-ins for GitHub and GitLab.
# shellcheck shell=bash

need cargo
cargo build
step "pipelines" tests/pipelines/run

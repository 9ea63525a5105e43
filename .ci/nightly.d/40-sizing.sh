# Memory and CPU of the static release binary, by load (docs/operations.md, size).
# shellcheck shell=bash

need cargo
need go
step "sizes" tests/deployment/sizing

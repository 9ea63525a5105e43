# Memory and CPU of the static release binary, by load (deploy/OPERATIONS.md, size).
# shellcheck shell=bash

need cargo
need go
step "sizes" tests/deployment/sizing

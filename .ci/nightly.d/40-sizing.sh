# Memory and CPU of the static release binary, by load (docs/operations.md, size),
# and many large texts within the memory limit of a pod.
# shellcheck shell=bash

need cargo
need go
step "sizes" tests/deployment/sizing
step "64 texts of 3 MB in 256 MiB" tests/deployment/large-texts

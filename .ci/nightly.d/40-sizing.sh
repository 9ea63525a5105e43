# Memory and CPU of the static release binary, by load (docs/operations.md, size),
# many large texts within the memory limit of a pod, and what many streams leave behind.
# shellcheck shell=bash

need cargo
need go
step "sizes" tests/deployment/sizing
step "64 texts of 3 MB in 256 MiB" tests/deployment/large-texts
step "memory after 5,000 streams" tests/deployment/stream-burst

# The cost of telemetry: CPU and latency of calls at several sampling rates.
# shellcheck shell=bash

need cargo
step "cost of telemetry" cargo bench --bench telemetry

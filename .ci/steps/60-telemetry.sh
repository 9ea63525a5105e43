# Traces, metrics, logs, the admin port, rules and dashboard, against a real
# collector, Prometheus and browser where they are there.
# shellcheck shell=bash

step "tests/telemetry/run" tests/telemetry/run

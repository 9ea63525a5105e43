# Traces, metrics, logs, the admin port, rules and dashboard, against a real
# collector, Prometheus and browser if they are available.
# shellcheck shell=bash

packages prometheus chromium chromium-driver || skip "some of telemetry" "no apt to install what it needs"
step "tests/telemetry/run" tests/telemetry/run

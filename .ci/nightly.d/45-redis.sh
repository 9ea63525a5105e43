# Failovers of Redis, again and again: each run hits another moment.
# shellcheck shell=bash

failovers() {
    local run
    for run in 1 2 3 4 5; do
        echo "run $run"
        cargo test --test access -- --ignored redis_failover
    done
}

need cargo
if packages redis-server; then
    step "failovers of Redis" failovers
else
    skip "failovers of Redis" "redis-server is missing, and apt is not available to install it"
fi

# The load scenarios over real sockets, each checked against its bounds, and the soak.
# shellcheck shell=bash

need cargo
packages redis-server || skip "load scenario replicas" "redis-server is missing and cannot be installed"
for scenario in checklist failover faults outage overhead pool quota replicas soak; do
    if [ "$scenario" = replicas ] && ! command -v redis-server >/dev/null; then
        continue
    fi
    step "load: $scenario" cargo bench --bench load -- "$scenario"
done

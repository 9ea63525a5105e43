# Licences, sources, versions and security advisories of the dependencies.
# shellcheck shell=bash

deny=$cache/tools/cargo-deny-0.20.2

advisories() {
    if timeout 120 "$deny/bin/cargo-deny" fetch db >"$work/advisories.log" 2>&1; then
        "$deny/bin/cargo-deny" check advisories
    else
        skip "cargo deny check advisories" "the advisory database cannot be fetched here"
        tail -n 3 "$work/advisories.log"
    fi
}

step "install cargo-deny" install_crate cargo-deny 0.20.2
step "cargo deny check bans licenses sources" "$deny/bin/cargo-deny" check bans licenses sources
step "cargo deny check advisories" advisories

# Licences, sources, versions and security advisories of the dependencies.
# shellcheck shell=bash

deny=$cache/tools/cargo-deny-0.20.2

install_cargo_deny() {
    [ ! -x "$deny/bin/cargo-deny" ] || return 0
    # A target directory of its own: it is built once and then removed.
    CARGO_TARGET_DIR=$work/cargo-deny \
        cargo install --quiet --locked --root "$deny" cargo-deny --version 0.20.2
    rm -rf "$work/cargo-deny"
}

advisories() {
    if timeout 120 "$deny/bin/cargo-deny" fetch db >"$work/advisories.log" 2>&1; then
        "$deny/bin/cargo-deny" check advisories
    else
        skip "cargo deny check advisories" "the advisory database cannot be fetched here"
        tail -n 3 "$work/advisories.log"
    fi
}

step "install cargo-deny" install_cargo_deny
step "cargo deny check bans licenses sources" "$deny/bin/cargo-deny" check bans licenses sources
step "cargo deny check advisories" advisories

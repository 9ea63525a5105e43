# The protos: style, and compatibility with the last release.
# shellcheck shell=bash

need python3

install_buf() {
    python_tools buf-bin==1.75.0
    buf=$venv/bin/buf
}

# Against the last release. Before the first one, every name may still change.
compatible() {
    local release
    if ! release=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null); then
        skip "buf breaking" "no release yet"
        return
    fi
    echo "against $release"
    mkdir -p "$work/released"
    git archive "$release" buf.yaml proto | tar -x -C "$work/released"
    "$buf" breaking --against "$work/released"
}

step "install buf" install_buf
step "buf lint" "$buf" lint
step "buf breaking" compatible

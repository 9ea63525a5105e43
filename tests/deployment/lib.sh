# What the scripts here share.
#
#   announce WHAT            says what is looked at next
#   skip WHAT REASON         says that something is not checked, and why
#   debian PROGRAM PACKAGE   installs a Debian package unless the program is there
#   go_tool NAME PACKAGE VERSION        path of a program, built once
#   python_tools NAME REQUIREMENT…      path of a virtual environment, made once
#   spawn LOG COMMAND…       starts a process that ends with the script; sets $spawned
#   stop PID                 ends one, and fails unless it exits with 0
#   await_line LOG PATTERN   waits until a log has a line; sets $line
#   fails COMMAND…           fails when the command does not (`!` would not)
#   free_ports N             that many free ports of 127.0.0.1, in one line
#
#   $root    the checkout
#   $cache   kept from run to run, outside the checkout
#   $work    for this run only
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/claude-grpc
target=${CARGO_TARGET_DIR:-$root/target}
work=$(mktemp -d)
mkdir -p "$cache/tools"
cd "$root" || exit 1

children=()

announce() {
    echo "--- $1"
}

skip() {
    echo "--- $1 skipped: $2"
}

debian() {
    command -v "$1" >/dev/null && return
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || return 1
    apt-get update -qq >&2 || true
    # Services do not start by themselves: each test starts its own.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$2" >&2
    command -v "$1" >/dev/null
}

go_tool() {
    local folder=$cache/tools/$1-${3#v}
    if [ ! -x "$folder/$1" ]; then
        GOBIN=$folder GOFLAGS='' go install "$2@$3" >&2
    fi
    echo "$folder/$1"
}

python_tools() {
    local venv=$cache/tools/$1
    if [ ! -e "$venv/complete" ]; then
        python3 -m venv --clear "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check "${@:2}" >&2
        touch "$venv/complete"
    fi
    echo "$venv"
}

grpcurl() {
    "$(go_tool grpcurl github.com/fullstorydev/grpcurl/cmd/grpcurl v1.9.4)" "$@"
}

spawn() {
    local log=$1
    shift
    : >"$log"
    "$@" >>"$log" 2>&1 &
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
    for _ in $(seq 600); do
        if line=$(grep -m 1 -E -- "$pattern" "$log"); then
            return 0
        fi
        kill -0 "$spawned" 2>/dev/null || break
        sleep 0.1
    done
    echo "no line like '$pattern' came; what did:" >&2
    cat "$log" >&2
    return 1
}

fails() {
    if "$@"; then
        echo "this was to fail: $*" >&2
        return 1
    fi
}

free_ports() {
    python3 - "$1" <<'PYTHON'
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(it.getsockname()[1] for it in held))
PYTHON
}

# What a script has to undo beyond its processes and files.
cleanup() { :; }

close() {
    local status=$? child number
    # The last one first: it may need the others to end well. None may hold up
    # the end for longer than ten seconds.
    for ((number = ${#children[@]} - 1; number >= 0; number--)); do
        child=${children[number]}
        kill -TERM "$child" 2>/dev/null || continue
        for _ in $(seq 100); do
            kill -0 "$child" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    done
    cleanup
    rm -rf "$work"
    exit "$status"
}
trap close EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'echo "failed: ${BASH_SOURCE[0]}:$LINENO: $BASH_COMMAND" >&2' ERR

# An independent client, grpcurl, which uses only reflection, and the commands in
# README and docs, compared with the output that the pages show.
# shellcheck shell=bash

need go
need python3
export PATH=$cache/tools/grpcurl-1.9.4:$PATH

install_grpcurl() {
    [ ! -x "$cache/tools/grpcurl-1.9.4/grpcurl" ] || return 0
    GOBIN=$cache/tools/grpcurl-1.9.4 GOFLAGS='' \
        go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4
}

call() {
    grpcurl -plaintext -max-time 20 "$@"
}

# expect PATTERN… : checks that standard input matches each of them.
expect() {
    local text pattern
    text=$(cat)
    for pattern in "$@"; do
        grep -qE -- "$pattern" <<<"$text" || {
            printf 'no %s in:\n%s\n' "$pattern" "$text" >&2
            return 1
        }
    done
}

reflection() {
    call "$address" list | expect '^claude\.v1\.ClaudeService$' '^grpc\.health\.v1\.Health$'
    call "$address" describe claude.v1.ClaudeService |
        expect 'rpc Generate ' 'rpc GenerateStream ' 'rpc Summarize ' 'rpc SummarizeStream ' \
            'rpc Classify ' 'rpc CountTokens ' 'rpc ListModels '
}

health() {
    local service
    for service in '' claude.v1.ClaudeService; do
        call -d "{\"service\":\"$service\"}" "$address" grpc.health.v1.Health/Check |
            expect '"status": "SERVING"'
    done
}

streams() {
    local request='{"request":{"messages":[{"role":"ROLE_USER","text":"Count to three."}]}}'
    call -d "$request" "$address" claude.v1.ClaudeService/GenerateStream |
        expect '"started"' '"textDelta"' '"finished"'
    request='{"request":{"text":"It rains. The river rises."}}'
    call -d "$request" "$address" claude.v1.ClaudeService/SummarizeStream |
        expect '"textDelta"' '"finished"'
}

bad_fields() {
    local answer
    rejected Classify '{"labels":[{"name":"a"},{"name":"a"}]}' |
        expect 'Code: InvalidArgument' '"field": "text"' '"field": "labels\[1\]\.name"'
    rejected GenerateStream '{}' | expect 'Code: InvalidArgument' '"field": "request"'
}

# rejected RPC REQUEST: what comes of a call that must be rejected.
rejected() {
    local answer
    if answer=$(call -d "$2" "$address" "claude.v1.ClaudeService/$1" 2>&1); then
        echo "an invalid request was answered: $answer" >&2
        return 1
    fi
    echo "$answer"
}

step "install grpcurl" install_grpcurl
step "cargo run -- serve --simulate" start_service
step "grpcurl: reflection" reflection
step "grpcurl: health" health
step "grpcurl: streams" streams
step "grpcurl: an invalid request" bad_fields
# To update the pages: .ci/console.py --update localhost:50051 README.md docs/*.md
step "commands in README and docs" python3 .ci/console.py "$address" README.md docs/*.md docs/*/*.md

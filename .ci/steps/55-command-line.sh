# The command line on a real text, as in a pipeline.
# shellcheck shell=bash

text=/usr/share/common-licenses/GPL-3
[ -e "$text" ] || text=LICENSE

summarized() {
    local summary
    summary=$(claude-grpc summarize "$text" --sentences 3)
    echo "$summary"
    [ -n "$summary" ]
    # Every sentence must be from the text.
    python3 - "$text" "$summary" <<'PYTHON'
import re, sys
def words(text):
    return " ".join(text.split())
text, summary = words(open(sys.argv[1]).read()), words(sys.argv[2]).removeprefix("[simulated] ")
for sentence in re.split(r"(?<=[.;:]) ", summary):
    assert sentence in text, f"not in the text: {sentence}"
PYTHON
}

label() {
    local label
    label=$(claude-grpc classify --label "software licence" --label "cooking recipe" <"$text")
    echo "$label"
    [[ $label == "software licence"$'\t'0.* ]]
}

answer() {
    local answer
    answer=$(claude-grpc generate "Which rivers flow through Germany?" </dev/null)
    echo "$answer"
    [[ $answer == "[simulated]"*"Germany"* ]]
    answer=$(echo "Rhine and Elbe." | claude-grpc generate "Which of these flow through Germany?")
    echo "$answer"
    [[ $answer == *"Rhine and Elbe. Which of these"* ]]
}

template() {
    local answer
    answer=$(git log -1 | claude-grpc generate --templates-dir examples/templates --template review --param language=Rust)
    echo "$answer"
    [[ $answer == *"Review this change."* ]]
}

json() {
    claude-grpc count-tokens --json <"$text" |
        python3 -c 'import json, sys; assert int(json.load(sys.stdin)["inputTokens"]) > 100'
}

exit_codes() {
    local status=0
    claude-grpc classify --label one <"$text" || status=$?
    [ "$status" -eq 2 ]
    status=0
    claude-grpc generate --addr 127.0.0.1:1 "Hello" </dev/null || status=$?
    [ "$status" -eq 3 ]
}

[ -n "${service:-}" ] || step "cargo run -- serve --simulate" start_service
step "summarize $text" summarized
step "classify $text" label
step "generate" answer
step "generate --template" template
step "count-tokens --json" json
step "exit codes" exit_codes
step "SIGTERM ends it with 0" stop "$service"

# The programs in docs/clients, each in a project of its own as its page describes,
# against the simulator. The Rust one is a doctest.
# shellcheck shell=bash

# project LANGUAGE: makes a folder with the files that each program reads; sets
# $project.
project() {
    project=$work/clients/$1
    mkdir -p "$project"
    cp -r proto LICENSE "$project"
    block json docs/clients.md >"$project/policy.json"
}

# block LANGUAGE PAGE: prints the first code block in that language.
block() {
    sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/p" "$2" | sed '1d; /^```$/,$d' |
        sed "s/localhost:50051/$address/"
}

is_summary() {
    local summary
    summary=$(cat)
    echo "$summary"
    [[ $summary == *"[simulated] "* ]]
}

python_client() {
    python_tools grpcio-tools==1.85.1
    project python
    block python docs/clients/python.md >"$project/summarize.py"
    (
        cd "$project" || exit
        "$venv/bin/python" -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. proto/claude/v1/*.proto
        "$venv/bin/python" summarize.py | is_summary
    )
}

go_client() {
    project go
    block go docs/clients/go.md >"$project/main.go"
    sed 's/^module .*/module example/' tests/deployment/load/go.mod >"$project/go.mod"
    cp tests/deployment/load/go.sum "$project"
    (
        cd "$project" || exit
        PATH=$protoc/bin:$go_plugins:$PATH protoc -I proto --go_out=. --go-grpc_out=. proto/claude/v1/*.proto
        go vet .
        go run . | is_summary
    )
}

typescript_client() {
    local packages=$cache/tools/typescript-client-1
    if [ ! -e "$packages/complete" ]; then
        mkdir -p "$packages"
        npm install --silent --no-audit --no-fund --prefix "$packages" @grpc/grpc-js@1.14.7 \
            @grpc/proto-loader@0.8.1 typescript@5.9.3 @types/node@20.9.5
        touch "$packages/complete"
    fi
    project typescript
    block ts docs/clients/typescript.md >"$project/summarize.ts"
    echo '{"type": "module"}' >"$project/package.json"
    ln -s "$packages/node_modules" "$project/node_modules"
    (
        cd "$project" || exit
        node_modules/.bin/tsc --strict --module nodenext --target es2022 --skipLibCheck --types node summarize.ts
        node summarize.js | is_summary
    )
}

java_client() {
    project java
    mkdir -p "$project/src/main/java"
    block xml docs/clients/java.md >"$project/pom.xml"
    block java docs/clients/java.md >"$project/src/main/java/Summarize.java"
    (
        cd "$project" || exit
        mvn --batch-mode --quiet compile org.codehaus.mojo:exec-maven-plugin:3.5.1:java \
            -Dexec.mainClass=Summarize | is_summary
    )
}

need npm
[ -n "${service:-}" ] || step "cargo run -- serve --simulate" start_service
[ -n "${go_plugins:-}" ] || step "install protoc" install_protoc
step "client in Python" python_client
step "client in Go" go_client
step "client in TypeScript" typescript_client
if command -v javac >/dev/null && command -v mvn >/dev/null; then
    step "client in Java" java_client
else
    skip "client in Java" "javac or mvn is missing"
fi

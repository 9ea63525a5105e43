# The programs in docs/clients, each in a project of its own as its page describes,
# against the simulator. The Rust one is a doctest. With $with_drains, also what each
# library makes of a server that drains (Rust: tests/service/drain.rs).
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

# drain NAME FUNCTION: a step that takes a minute.
drain() {
    [ -z "${with_drains:-}" ] || step "$@"
}

# drains COMMAND…: without a service config, and with ours.
drains() {
    local policy
    for policy in none "$PWD/deploy/service-config.json"; do
        python3 tests/drain/drain.py "$target/debug/claude-grpc" "$policy" "$@"
    done
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

python_drain() {
    drains "$venv/bin/python" tests/drain/python/calls.py sync
    drains "$venv/bin/python" tests/drain/python/calls.py aio
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

go_drain() {
    (cd tests/drain/go && go vet . && go build -o "$work/drain" .)
    drains "$work/drain"
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

# In the folder of the client, which has the packages.
typescript_drain() {
    cp tests/drain/typescript/calls.mjs "$project"
    drains node "$project/calls.mjs"
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

# Without Maven around it, which writes escape sequences of its own.
java_drain() {
    cp tests/drain/java/Calls.java "$project/src/main/java"
    mvn --batch-mode --quiet --file "$project" compile \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath \
        -Dmdep.outputFile="$project/classpath"
    drains java -cp "$project/target/classes:$(cat "$project/classpath")" Calls
}

need npm
[ -n "${service:-}" ] || step "cargo run -- serve --simulate" start_service
[ -n "${go_plugins:-}" ] || step "install protoc" install_protoc
step "client in Python" python_client
drain "drain with Python" python_drain
step "client in Go" go_client
drain "drain with Go" go_drain
step "client in TypeScript" typescript_client
drain "drain with TypeScript" typescript_drain
if command -v javac >/dev/null && command -v mvn >/dev/null; then
    step "client in Java" java_client
    drain "drain with Java" java_drain
else
    skip "client in Java" "javac or mvn is missing"
fi

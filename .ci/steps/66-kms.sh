# AWS KMS by the server of `moto`, with a build that has it. It goes to the same
# target directory as the others: all but the AWS SDK is there already.
# shellcheck shell=bash

install_moto() {
    python_tools 'moto[server]==5.2.5' boto3==1.44.8
    moto=$venv
}

kms() {
    PYTHON=$moto/bin/python AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test \
        cargo test --features kms --test secrets -- --ignored kms
    # For the overlay that needs it; the next build without it takes its place.
    cp "$target/debug/claude-grpc" "$work/claude-grpc-kms"
    export KMS_BINARY=$work/claude-grpc-kms MOTO=$moto/bin/python
}

need python3
step "install moto" install_moto
step "AWS KMS" kms
step "cargo clippy --features kms" cargo clippy --features kms --all-targets -- -D warnings

# AWS KMS with the server of `moto`, and a build with the feature `kms`. It uses the
# same target directory as the others, which has everything but the AWS SDK.
# shellcheck shell=bash

install_moto() {
    python_tools 'moto[server]==5.2.5' boto3==1.44.8
    moto=$venv
}

kms() {
    PYTHON=$moto/bin/python AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test \
        cargo test --features kms --test secrets -- --ignored kms
    # For the overlay that requires it. The next build without the feature replaces
    # it.
    cp "$target/debug/claude-grpc" "$work/claude-grpc-kms"
    export KMS_BINARY=$work/claude-grpc-kms MOTO=$moto/bin/python
}

need python3
step "install moto" install_moto
step "AWS KMS" kms
step "cargo clippy --features kms" cargo clippy --features kms --all-targets -- -D warnings

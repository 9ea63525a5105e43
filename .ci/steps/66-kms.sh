# AWS KMS with the server of `moto`, signatures of AWS with botocore, tokens of the clouds
# with their libraries, and builds with the features for them. It uses the same target
# directory as the others, which has everything but the SDKs of the clouds.
# shellcheck shell=bash

kms() {
    PYTHON=$MOTO AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test \
        cargo test --features clouds --test secrets -- --ignored kms
}

install_libraries_of_clouds() {
    local packages
    mapfile -t packages <tests/hosts/requirements.txt
    python_tools "${packages[@]}"
    libraries=$venv
}

hosts() {
    PYTHON=$libraries/bin/python cargo test --features clouds --test hosts -- --ignored
}

need python3
step "install moto" install_moto
step "AWS KMS" kms
step "install the libraries of the clouds" install_libraries_of_clouds
step "hosts that verify" hosts

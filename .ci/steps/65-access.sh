# Keys, signatures, limits and secrets against the real Redis, Python's
# cryptography, and signers in three languages.
# shellcheck shell=bash

access_python() {
    python_tools cryptography==50.0.2
    PYTHON=$venv/bin/python cargo test --test secrets -- --ignored --skip kms
}

signers() {
    local vectors=tests/vectors/signature.json
    python3 examples/signing/sign.py --check "$vectors"
    node examples/signing/sign.mjs --check "$vectors"
    go run examples/signing/sign.go --check "$vectors"
}

# The scripts of pacing on their own, and replicas that share Redis: with TLS,
# sentinels and a cluster, also while it fails over.
in_redis() {
    cargo test --lib pacing -- --ignored
    cargo test --lib kept -- --ignored
    cargo test --test access -- --ignored
    cargo test --test operation -- --ignored --test-threads 4 shared_batches
}

need python3
need node
need go
step "Fernet as Python has it" access_python
step "signers in Python, JavaScript and Go" signers
if packages redis-server; then
    step "limits, nonces, quota and batches in Redis, alone, with sentinels and in a cluster" in_redis
else
    skip "limits, nonces, quota and batches in Redis, alone, with sentinels and in a cluster" "redis-server is missing, and apt is not available to install it"
fi

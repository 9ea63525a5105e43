# The commands of this project. `.ci/run` and `.ci/nightly` run the same ones.

# Lists these.
default:
    @just --list

# Starts the service on the built-in simulator.
serve:
    cargo run -- serve --simulate

# Passes the tests.
test:
    cargo test

# Formatting, lints, docs.
style:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

# Style of the protos, and whether they understand what was released.
proto:
    bash .ci/run 30

# Licences, sources, versions and flaws of the dependencies.
dependencies:
    bash .ci/run 35

# The fuzz targets, for 20 s each.
fuzz:
    bash .ci/run 36

# The official SDKs against the simulator.
sdk:
    bash .ci/run 40

# grpcurl, the commands in README and docs, and the command line.
clients:
    bash .ci/run 50 55

# The image, the manifests, the units and the Debian package.
deployment:
    bash .ci/run 70

# Load runs: all, or the one named.
load *scenario:
    cargo bench --bench load -- {{scenario}}

# Counts what a call costs: `just cost` compares, `just cost write` stores.
cost *what:
    cargo bench --bench cost -- {{what}}

# All that a commit must pass.
ci:
    bash .ci/run

# What takes longer: load and soak runs, long fuzzing, sizes.
nightly:
    bash .ci/nightly

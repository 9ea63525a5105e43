# The commands of this project. `.ci/run` and `.ci/nightly` run the same ones.

# Lists the commands.
default:
    @just --list

# Starts the service on the built-in simulator.
serve:
    cargo run -- serve --simulate

# Runs the tests.
test:
    cargo test

# Checks formatting, lints and rustdoc.
style:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

# Checks the protos: style, compatibility with the last release, generated code.
proto:
    bash .ci/run 30

# Checks licences, sources, versions and advisories of the dependencies.
dependencies:
    bash .ci/run 35

# Runs the fuzz targets for ten minutes each.
fuzz:
    bash .ci/nightly 36

# Runs the official SDKs against the simulator.
sdk:
    bash .ci/run 40

# Runs grpcurl, the commands in README and docs, and the command line.
clients:
    bash .ci/run 50 55

# Attacks a pod, and runs h2spec against it.
attacks:
    bash .ci/nightly 75

# Checks the image, the manifests, the units and the Debian package.
deployment:
    bash .ci/run 70

# Runs all load scenarios, or the named one.
load *scenario:
    cargo bench --bench load -- {{scenario}}

# Counts what a call costs: `just cost` compares, `just cost write` stores.
cost *what:
    cargo bench --bench cost -- {{what}}

# Runs everything that a commit must pass.
ci:
    bash .ci/run

# Runs what takes longer: load and soak runs, long fuzzing, sizes.
nightly:
    bash .ci/nightly

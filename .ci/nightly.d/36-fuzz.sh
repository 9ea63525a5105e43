# The fuzz targets, for ten minutes each and with a random seed. Earlier findings are
# tests (`tests/fuzz_corpus.rs`), which .ci/run has.
# shellcheck shell=bash

fuzz=$cache/tools/cargo-fuzz-0.13.2
fuzz_seconds=${FUZZ_SECONDS:-600}
# 0 is a random one.
fuzz_seed=${FUZZ_SEED:-0}

# A nightly compiler, or the stable one if it accepts unstable flags.
fuzz_compiler() {
    if rustc +nightly --version >/dev/null 2>&1; then
        echo nightly
    elif RUSTC_BOOTSTRAP=1 rustc -Zhelp >/dev/null 2>&1; then
        echo stable
    fi
}

# cargo_fuzz COMMAND… : runs without a sanitizer, since the crate has no unsafe code.
# Overflows and failed assertions are found without one.
cargo_fuzz() {
    "$fuzz/bin/cargo-fuzz" "$1" --sanitizer none --target-dir "$cache/fuzz" "${@:2}"
}

# In a subshell, so that other steps keep their compiler.
fuzz_targets() (
    case $compiler in
    nightly) export RUSTUP_TOOLCHAIN=nightly ;;
    stable) export RUSTC_BOOTSTRAP=1 ;;
    esac
    # Artifacts of earlier clones have other paths and would accumulate.
    cargo clean --quiet --manifest-path fuzz/Cargo.toml --target-dir "$cache/fuzz" \
        --target "$(rustc -vV | sed -n 's/^host: //p')" --release \
        --package claude-grpc --package claude-grpc-fuzz
    cargo_fuzz build
    # Thousands of small files are written.
    [ ! -w /dev/shm ] || export TMPDIR=/dev/shm
    local target
    for target in fuzz/fuzz_targets/*.rs; do
        target=$(basename "$target" .rs)
        # The fuzzer adds files to the first folder and leaves the corpus unchanged.
        mkdir -p "$work/fuzz/$target"
        # An input takes milliseconds. A machine that stalls for a minute is not a
        # finding.
        if ! cargo_fuzz run "$target" "$work/fuzz/$target" "fuzz/corpus/$target" -- \
            -max_total_time="$fuzz_seconds" -seed="$fuzz_seed" -max_len=4096 -timeout=300 -rss_limit_mb=2048 \
            -artifact_prefix="$work/fuzz/" -print_final_stats=1 >"$work/fuzz/$target.log" 2>&1; then
            tail -n 40 "$work/fuzz/$target.log"
            return 1
        fi
        echo "$target: $(sed -n 's/^stat::\(.*[^ ]\): *\([0-9]*\)$/\1 \2/p' "$work/fuzz/$target.log" | paste -sd ' ')"
    done
)

compiler=$(fuzz_compiler)
if [ -n "$compiler" ]; then
    step "install cargo-fuzz" install_crate cargo-fuzz 0.13.2
    step "fuzz targets, $fuzz_seconds s each" fuzz_targets
else
    skip "fuzz targets" "no nightly Rust, and the stable one does not accept -Z flags"
fi

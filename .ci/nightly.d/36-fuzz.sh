# The fuzz targets as in .ci/run, for ten minutes each and with a random seed.
# shellcheck shell=bash

FUZZ_SECONDS=${FUZZ_SECONDS:-600}
FUZZ_SEED=${FUZZ_SEED:-0}
# shellcheck source=.ci/steps/36-fuzz.sh
source .ci/steps/36-fuzz.sh

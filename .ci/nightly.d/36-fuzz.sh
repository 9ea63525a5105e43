# The fuzz targets as in .ci/run, for ten minutes each.
# shellcheck shell=bash

FUZZ_SECONDS=${FUZZ_SECONDS:-600}
# shellcheck source=.ci/steps/36-fuzz.sh
source .ci/steps/36-fuzz.sh

# What the clients in docs/clients make of a server that drains.
# shellcheck shell=bash

with_drains=yes
# shellcheck source=.ci/steps/52-clients.sh
source .ci/steps/52-clients.sh

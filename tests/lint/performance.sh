#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The tables of docs/PERFORMANCE.md and docs/performance.svg follow from docs/performance.json.
set -eu
cd "${VHDX_SOURCE:-$(dirname "$0")/../..}"
exec python3 bench/report --check

#!/usr/bin/env bash
# 200 streams at once from 20 requests: each answer as alone, none lost, no thread more.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
small_model 60
serve "$scratch/model" --served-model-name small
python3 tests/tools/check_load.py "$url" "$server"

#!/usr/bin/env bash
# 2,000 streams at once from 100 requests: each answer as alone, none lost, no thread more; then
# 10,000 idle connections, slow readers, clients that leave. usage: load.sh [STREAMS [CONNECTIONS]]
set -euo pipefail
streams=${1:-2000} connections=${2:-10000}
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
small_model 60
serve "$scratch/model" --served-model-name small
python3 tests/tools/check_load.py "$url" "$server" "$streams"
python3 tests/tools/check_idle.py "$url" "$server" "$connections"

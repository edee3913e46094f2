#!/usr/bin/env bash
# 100,000 requests mutated from valid ones: each a well-formed answer. usage: mutations.sh [REQUESTS [SEED]]
set -euo pipefail
requests=${1:-100000} seed=${2:-1}
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
small_model 60
serve "$scratch/model" --served-model-name small --tool-call-parser hermes
python3 tests/tools/check_mutations.py "$url" "$requests" "$seed" "$server"

#!/usr/bin/env bash
# A long prompt enters while 8 streams run: their p99 inter-token latency at most 2 times what it is
# without, its time to first token at most 4 times an idle server's. Minutes and 8 GB with the
# default. usage: long_prompt.sh [MODEL [PROMPT_TOKENS]]
set -euo pipefail
model=${1:-preset:olmoe-1b-7b} tokens=${2:-4000}
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
serve "$model" --format w8a8 --served-model-name m
python3 tests/tools/check_long_prompt.py "$url" "$tokens"

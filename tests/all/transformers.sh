#!/usr/bin/env bash
# transformers loads the folders that moge writes and computes the same logits.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
torch_venv
"$python" tests/tools/check_transformers.py "$moge"

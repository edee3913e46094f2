#!/usr/bin/env bash
# transformers loads the folders that moge writes and computes the same logits.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
free_gb=$(df -BG --output=avail "$HOME" | tail -1 | tr -dc 0-9)
[ "$free_gb" -ge 6 ] || skip "torch wants 6 GB of disk, $free_gb are free"
venv torch 'torch>=2,<3' 'transformers>=5,<6' 'safetensors<1'
"$python" tests/tools/check_transformers.py "$moge"

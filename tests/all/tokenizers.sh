#!/usr/bin/env bash
# PyPI's tokenizers reads the tokenizer.json that moge trains: the same ids for texts of this folder.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
venv tokenizers 'tokenizers<1'
small_model 2
serve "$scratch/model"
"$python" tests/tools/check_tokenizers.py "$url" "$scratch/tokenizer/tokenizer.json"

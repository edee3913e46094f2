#!/usr/bin/env bash
# PyPI's compressed-tensors reads quantized folders and decompresses them to our values.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
torch_venv
"$python" tests/tools/check_compressed_tensors.py "$moge" "$scratch"

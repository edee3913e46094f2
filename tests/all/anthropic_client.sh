#!/usr/bin/env bash
# PyPI's anthropic client talks to `moge serve`: messages, streams, counts, tools, errors.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
venv anthropic 'anthropic<1'
small_model 60
serve "$scratch/model" --served-model-name small --tool-call-parser hermes
"$python" tests/tools/check_anthropic.py "$url"

#!/usr/bin/env bash
# PyPI's openai client talks to `moge serve`: models, completions, chat, parse with a schema, errors, parallel streams.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
venv openai 'openai>=1,<3'
small_model 60
serve "$scratch/model" --served-model-name small --tool-call-parser hermes
"$python" tests/tools/check_openai_client.py "$url"

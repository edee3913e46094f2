#!/usr/bin/env bash
# PyPI's prometheus-client parses /metrics: types, help, bounded series for each layer.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
venv prometheus 'prometheus-client<1'
serve preset:tiny --served-model-name tiny
"$python" tests/tools/check_metrics.py "$url"

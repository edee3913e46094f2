#!/usr/bin/env bash
# PyPI's tensorboard reads a run's event files: every scalar as in metrics.jsonl.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
venv tensorboard 'tensorboard>=2,<3'
"$moge" train --model preset:tiny --mock-data --vocab-size 256 --train-iters 12 --quiet \
  --save "$scratch/run" > /dev/null
"$python" tests/tools/check_tensorboard.py "$scratch/run"

#!/usr/bin/env bash
# PyPI's schemathesis makes requests from /openapi.json: no 5xx but the documented 501.
# usage: schemathesis.sh [EXAMPLES]
set -euo pipefail
examples=${1:-100}
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
venv schemathesis 'schemathesis>=4,<5'
small_model 60
serve "$scratch/model" --served-model-name small --tool-call-parser hermes
cat > "$scratch/schemathesis.toml" << 'TOML'
[checks]
not_a_server_error.expected-statuses = ["2xx", "4xx", 501]
TOML
cd "$scratch"
"$(dirname "$python")/schemathesis" --config-file "$scratch/schemathesis.toml" run "$url/openapi.json" \
  --checks not_a_server_error,content_type_conformance --max-examples "$examples" \
  --phases examples,coverage,fuzzing --seed 1 --workers 2 > "$scratch/schemathesis.log" 2>&1 ||
  { tail -60 "$scratch/schemathesis.log"; exit 1; }
tail -15 "$scratch/schemathesis.log"

#!/usr/bin/env bash
# A server with AddressSanitizer and LeakSanitizer under mutated requests, then SIGTERM: a clean end,
# nothing reported. Wants $MOGE or build/asan/moge (cmake --preset asan). usage: leaks.sh [REQUESTS [SEED]]
set -euo pipefail
requests=${1:-4000} seed=${2:-1}
export MOGE=${MOGE:-$(cd "$(dirname "$0")/../.." && pwd)/build/asan/moge}
export ASAN_OPTIONS=detect_leaks=1:halt_on_error=1
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
nm -D "$moge" | grep -q __asan_init || skip "$moge has no AddressSanitizer"
small_model 2
serve "$scratch/model" --served-model-name small --tool-call-parser hermes
python3 tests/tools/check_mutations.py "$url" "$requests" "$seed"
kill -TERM "$server"
status=0
wait "$server" || status=$?
server=
grep -E "ERROR: (Address|Leak)Sanitizer|runtime error" "$scratch/serve.log" && exit 1
[ "$status" = 0 ] || { cat "$scratch/serve.log"; exit 1; }
echo "no leak after $requests requests: $(tail -1 "$scratch/serve.log")"

#!/usr/bin/env bash
# Chromium uses the page as a visitor would: asks, looks at the map, edits, stops, exports, reloads,
# on a wide screen and a phone, in light and dark, and meets hostile Markdown.
# usage: browser.sh [FOLDER-FOR-PICTURES [MODEL [PROMPT]]]
set -euo pipefail
[ $# -lt 1 ] || pictures=$(realpath -m "$1")
[ $# -lt 2 ] || model=$(realpath "$2")
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
command -v chromium > /dev/null && command -v chromedriver > /dev/null ||
  skip "apt packages chromium and chromium-driver are missing"
venv browser 'selenium>=4,<5'
[ -n "${model:-}" ] || { small_model 60; model=$scratch/model; }
check() { "$python" tests/tools/check_page.py "$url" "${pictures:-$scratch/page}" "$@"; }
prompt=${3:-In a small town}
serve "$model"
check "$prompt"
stop_server
serve "$model" --api-key secret-word
check "$prompt" secret-word

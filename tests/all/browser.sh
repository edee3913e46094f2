#!/usr/bin/env bash
# Chromium opens the page, asks, and sees the answer stream and the expert map light up.
# usage: browser.sh [SCREENSHOT.png [MODEL [PROMPT]]]
set -euo pipefail
[ $# -lt 1 ] || screenshot=$(realpath -m "$1")
[ $# -lt 2 ] || model=$(realpath "$2")
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
command -v chromium > /dev/null && command -v chromedriver > /dev/null ||
  skip "apt packages chromium and chromium-driver are missing"
venv browser 'selenium>=4,<5'
[ -n "${model:-}" ] || { small_model 60; model=$scratch/model; }
serve "$model"
"$python" tests/tools/check_page.py "$url" "${screenshot:-$scratch/page.png}" "${3:-In a small town}"

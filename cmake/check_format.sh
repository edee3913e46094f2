#!/usr/bin/env bash
# Fails on a source file that clang-format 14 would change; exits 77 (skipped) where it is missing.
# usage: check_format.sh [ROOT]
set -euo pipefail
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/..}"

format=$(command -v clang-format-14 || true)
if [ -z "$format" ]; then
  echo "check_format: skipped, there is no clang-format-14 here (later versions lay out differently)"
  exit 77
fi
find . \( -path ./build -o -path ./demo -o -path ./.git \) -prune -o \
  \( -name '*.cc' -o -name '*.h' -o -name '*.inl' \) -print | sort |
  xargs -r "$format" --dry-run -Werror

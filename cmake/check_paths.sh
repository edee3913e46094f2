#!/usr/bin/env bash
# Fails on a path of one particular machine in a source, script or page.
# usage: check_paths.sh [ROOT]
set -euo pipefail
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/..}"

homes='home|root|Users|work|workspace'
if grep -rnIE "(^|[^A-Za-z0-9_.~\$}/-])/($homes)/[A-Za-z0-9_.]" . \
  --exclude-dir=.git --exclude=.git --exclude-dir=build --exclude-dir=demo --exclude=check_paths.sh; then
  echo "check_paths: the lines above name a path of one machine"
  exit 1
fi

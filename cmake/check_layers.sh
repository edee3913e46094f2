#!/usr/bin/env bash
# Fails on an include that points upward, on a room that this list does not know, on a link
# dependency against the order, and on a heavy header that spreads through a header (a header that
# only *.cc files include may have one).
# usage: check_layers.sh [ROOT]
set -euo pipefail
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/..}/src/moge"

declare -A below=(  # what each room may include besides itself
  [core]=""
  [config]="core"
  [plan]="core config"
  [report]="core config plan"
  [runtime]="core"
  [tensor]="core runtime"
  [quant]="core tensor"
  [kernels]="core"
  [ops]="core runtime tensor kernels"
  [text]="core"
  [grammar]="core text"
  [model]="core config plan runtime tensor quant kernels ops"
  [data]="core text runtime"
  [train]="core config plan report runtime tensor kernels ops text model data"
  [infer]="core config plan runtime tensor kernels ops text grammar model"
  [eval]="core config plan runtime tensor quant kernels ops text grammar model infer"
  [serve]="core config plan report runtime tensor kernels ops text grammar model infer"
)
heavy='^#include <(nlohmann/json\.hpp|CLI/|spdlog/|boost/|mpi\.h|cuda|sentencepiece)'
bad=0
complain() { echo "check_layers: $*"; bad=1; }

for folder in */; do
  room=${folder%/}
  if [ -z "${below[$room]+known}" ]; then
    complain "src/moge/$room: unknown room; give it a line in cmake/check_layers.sh"
    continue
  fi
  allowed=" $room ${below[$room]} "
  while IFS=: read -r file line include; do
    target=$(sed -E 's/.*"([^"]*)".*/\1/' <<< "$include")
    if [[ $target != moge/* ]]; then
      complain "src/moge/$file:$line includes \"$target\": write \"moge/ROOM/…\""
      continue
    fi
    to=$(cut -d/ -f2 <<< "$target")
    [[ $allowed == *" $to "* ]] || complain "src/moge/$file:$line: $room may not include $to ($target)"
  done < <(grep -rnE '^ *# *include *"' "$room" --include='*.cc' --include='*.h' --include='*.inl' || true)
  while IFS=: read -r file line text; do
    [[ $room == serve && $text == *boost/* ]] && continue  # coroutines' types; serve is all Beast
    readers=$(grep -rlF "\"moge/$file\"" . --include='*.h' --include='*.inl' || true)
    [ -z "$readers" ] || complain "src/moge/$file:$line: $text reaches $readers"
  done < <(grep -rnE "$heavy" "$room" --include='*.h' || true)
  for to in $(grep -ohE '\bmoge_[a-z]+' "$room/CMakeLists.txt" 2> /dev/null | sed 's/^moge_//' | sort -u); do
    [ -d "$to" ] || continue
    [[ $allowed == *" $to "* ]] || complain "src/moge/$room/CMakeLists.txt: $room may not link $to"
  done
done
exit $bad

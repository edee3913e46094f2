#!/usr/bin/env bash
# Plants one violation of each kind and expects the checks to find it, and clean trees to pass.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0

plant() {  # FILE TEXT: one file in a fresh tree
  rm -rf "$work/tree"
  mkdir -p "$work/tree/src/moge/core" "$work/tree/apps" "$work/tree/tests" "$work/tree/bench"
  cp "$here/../.clang-format" "$work/tree/"
  mkdir -p "$(dirname "$work/tree/$1")"
  printf '%s\n' "$2" > "$work/tree/$1"
}
expect() {  # pass|fail WHAT COMMAND...
  local want=$1 what=$2 got=pass
  shift 2
  "$@" > "$work/log" 2>&1 || got=fail
  if [ "$want" != "$got" ]; then
    echo "check_selftest: '$what' should $want"
    cat "$work/log"
    bad=1
  fi
}

plant src/moge/ops/x.cc '#include "moge/kernels/table.h"'
expect pass "a downward include" "$here/check_layers.sh" "$work/tree"
plant src/moge/kernels/x.cc '#include "moge/ops/linear.h"'
expect fail "an upward include" "$here/check_layers.sh" "$work/tree"
plant src/moge/ops/x.cc '#include "moge/config/model_config.h"'
expect fail "config seen by ops" "$here/check_layers.sh" "$work/tree"
plant src/moge/core/x.cc '#include "helper.h"'
expect fail "an include without its room" "$here/check_layers.sh" "$work/tree"
plant src/moge/attic/x.cc 'int x;'
expect fail "an unknown room" "$here/check_layers.sh" "$work/tree"
plant src/moge/core/x.h '#include <nlohmann/json.hpp>'
expect pass "a heavy header for *.cc only" "$here/check_layers.sh" "$work/tree"
printf '%s\n' '#include "moge/core/x.h"' > "$work/tree/src/moge/core/y.h"
expect fail "a heavy header in a header" "$here/check_layers.sh" "$work/tree"
mkdir -p "$work/tree/src/moge/ops"
plant src/moge/core/CMakeLists.txt 'moge_room(core moge_ops)'
mkdir -p "$work/tree/src/moge/ops"
expect fail "an upward link" "$here/check_layers.sh" "$work/tree"

plant apps/x.cc "// /ho""me/somebody/model"
expect fail "a path of one machine" "$here/check_paths.sh" "$work/tree"
plant apps/x.cc '// https://example.org/home/page and ~/work/x'
expect pass "an address" "$here/check_paths.sh" "$work/tree"

if command -v clang-format-14 > /dev/null; then
  plant src/moge/core/x.cc 'int  x = 1 ;'
  expect fail "an unformatted file" "$here/check_format.sh" "$work/tree"
  plant src/moge/core/x.cc 'int x = 1;'
  expect pass "a formatted file" "$here/check_format.sh" "$work/tree"
fi

object() {  # SOURCE: compiled as a kernel of the instruction set "avx2"
  rm -rf "$work/objects"
  mkdir -p "$work/objects/moge_kernels_avx2.dir"
  printf '%s\n' "$1" | ${CXX:-c++} -x c++ -c -o "$work/objects/moge_kernels_avx2.dir/x.o" -
}
if command -v "${CXX:-c++}" > /dev/null; then
  object 'namespace moge::kernels::avx2 { extern const int kTable = 1; }'
  expect pass "one table" "$here/check_weak_symbols.sh" "$work/objects"
  object 'inline int twice(int x) { return 2 * x; } namespace moge::kernels::avx2 { extern int (*const kTable)(int) = twice; }'
  expect fail "a weak symbol" "$here/check_weak_symbols.sh" "$work/objects"
  object 'int stray(int x) { return x; }'
  expect fail "a stray global" "$here/check_weak_symbols.sh" "$work/objects"
  rm "$work/objects/moge_kernels_avx2.dir/x.o"
  expect fail "no object at all" "$here/check_weak_symbols.sh" "$work/objects"
fi
exit $bad

#!/usr/bin/env bash
# Fails if an object compiled for one instruction set exports anything but its own tables: a weak
# (inline, template) symbol could be the copy that the linker keeps for the whole program, and an
# older CPU would then meet an instruction it lacks.
# usage: check_weak_symbols.sh BUILD_DIR
set -euo pipefail
build=${1:?usage: check_weak_symbols.sh BUILD_DIR}

bad=0
objects=0
while read -r object; do
  objects=$((objects + 1))
  isa=$(sed -E 's/.*moge_kernels_([a-z0-9_]+)\.dir.*/\1/' <<< "$object")
  # nm: upper-case letters are global, W V u are weak or unique; U is merely used
  leaks=$(nm --demangle --defined-only --extern-only "$object" | sed -E 's/^[0-9a-f ]*//' |
    grep -vE "^[BDRT] moge::kernels::$isa::k[A-Za-z0-9]+$" || true)
  if [ -n "$leaks" ]; then
    echo "check_weak_symbols: $object exports:"
    sed 's/^/  /' <<< "$leaks"
    bad=1
  fi
done < <(find "$build" -path '*moge_kernels_*.dir/*' -name '*.o')
if [ "$objects" = 0 ]; then
  echo "check_weak_symbols: no object of moge_kernels_* in $build"
  exit 1
fi
exit $bad

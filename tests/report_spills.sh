#!/usr/bin/env bash
# A report, not a gate: stack traffic inside the inner loops of the hot micro-kernels, from the
# disassembly of a release build. An inner loop is a backward jump over at least 8 multiply-adds.
# usage: tests/report_spills.sh [build folder]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=${1:-build/release}
objects=$build/src/moge/kernels/CMakeFiles
command -v objdump > /dev/null || { echo "spills: there is no objdump here"; exit 0; }

count_loops() {  # NAME, disassembly on stdin
  awk -v name="$1" '
    function close_function(  i, j, from, spills, muls) {
      for (i = 1; i <= n; i++) {
        if (!(target[i] in line) || line[target[i]] >= i) continue
        from = line[target[i]]; spills = muls = 0
        for (j = from; j < i; j++) {
          spills += is_spill[j]; muls += is_mul[j]
          if ((target[j] in line) && line[target[j]] >= from && line[target[j]] < j) break
        }
        if (j < i || muls < 8) continue  # holds a loop itself, or is none of the hot ones
        loops++
        if (spills) { bad++; if (spills > worst) worst = spills }
      }
      n = 0; delete line; delete target; delete is_spill; delete is_mul
    }
    / <.*>:$/ { close_function(); next }
    /^ *[0-9a-f]+:/ {
      n++; address = $1; sub(":", "", address); line[address] = n
      target[n] = ($2 ~ /^j/) ? $3 : ""
      is_mul[n] = ($2 ~ /^v(pdpbusd|pmadd|fmadd|dpbf16)/) ? 1 : 0
      is_spill[n] = ($2 ~ /^v?mov/ && $0 ~ /\(%r[sb]p\)/ && $0 ~ /%[xyz]mm/) ? 1 : 0
    }
    END {
      close_function()
      printf "  %-28s %3d inner loops, %d with spills%s\n", name, loops, bad,
        bad ? " (at most " worst " moves)" : ""
    }'
}

for isa in avx2 avx512 avx512_bf16; do
  for kernel in gmm gemm paged_attention attention; do
    object=$objects/moge_kernels_$isa.dir/cpu/$kernel.cc.o
    [ -e "$object" ] || continue
    objdump -d --no-show-raw-insn "$object" | count_loops "$kernel $isa"
  done
done

#!/bin/sh
# hot_sites_test: natively, hot operations are the instructions of a kernel without pvops. Why: nothing may be lost on bare
# metal, and a nop or a move at each of hundreds of sites is a loss nobody notices. Expected: the text of the running
# kernel has at every site of a hot operation what tests/plain/amphi/pvops_sites.h has in its place, no more; each has
# sites but for a few; hot_sites finds it when one byte of the text is another.
. "$(dirname "$0")/lib.sh"
make -s --no-print-directory BUILD="$BUILD" plain || exit 1
. "$(dirname "$0")/../plain/hot_sites.sh"
hot_sites >"$work/hot" || { cat "$work/hot"; exit 1; }
[ "$(grep -c '^hot ' "$work/hot")" -ge 14 ] || { echo "too few operations:"; cat "$work/hot"; exit 1; }
[ "$(grep -c '^hot .* sites=0 ' "$work/hot")" -le 2 ] || { echo "too few sites:"; cat "$work/hot"; exit 1; }

# A sti where the first cli of all was.
at=$(sed -n 's/^hot irq_disable .* first=\([0-9]*\):.*/\1/p' "$work/hot")
printf '\373' | dd of="$work/text" bs=1 seek="$at" conv=notrunc 2>/dev/null
compare_text >"$work/changed" && { echo "a changed site was not found"; exit 1; }
expect "$work/changed" '^hot irq_disable sites=[0-9]* differing=1 '
echo "$(sed -n 's/^all //p' "$work/hot"), hot ones as in a kernel without pvops"

#!/bin/sh
# plain_test: the kernel without pvops that `make bench` measures ours against. Why: a yardstick that does not do the same
# work measures nothing. Expected: it builds from the same sources with tests/plain in the place of pvops/, has no
# pv site, starts natively, and its self-test, ring 3 with it, and its price list have the lines that ours have.
. "$(dirname "$0")/lib.sh"
make -s --no-print-directory BUILD="$BUILD" plain || { echo "amphi-plain does not build: see tests/plain/amphi/pvops_sites.h"; exit 1; }
for part in pv_ops pvops_plan pv_plan; do
	! nm "$BUILD/amphi-plain" | grep -q " $part\$" || { echo "amphi-plain has $part"; exit 1; }
done
(cd "$BUILD/user" && printf '%s\n' self_test price | cpio --quiet -o -H newc) >"$work/ramdisk"
said() { # what the programs and the price list say, without figures
	expect "$1" '^selftest: [0-9]* ok, 0 failed$'
	expect_status 0 "$1"
	sed -n '/^selftest: begins/,/^selftest: .* ok/p; s/^\(@price [a-z0-9]* n=[0-9]*\) .*/\1/p' "$1"
}
native 32 'do="selftest; price; pvops verify; halt 0"' -initrd "$work/ramdisk" >"$work/log"
said "$work/log" >"$work/ours"
KERNEL=$BUILD/amphi-plain native 32 'do="selftest; price; halt 0"' -initrd "$work/ramdisk" >"$work/log"
said "$work/log" >"$work/plain"
[ "$(nm "$BUILD/amphi-plain" | sed -n 's/ . pv_sites_\(start\|end\)$//p' | uniq | wc -l)" = 1 ] || { echo "amphi-plain has pv sites"; exit 1; }
[ "$(grep -c '^@price' "$work/ours")" -ge 10 ] || { echo "too few prices:"; cat "$work/ours"; exit 1; }
diff "$work/ours" "$work/plain" || { echo "the two kernels differ in what they do"; exit 1; }
echo "$(grep -c '^ok\|: ok' "$work/plain") checks of the self-test and $(grep -c '^@price' "$work/plain") prices in both kernels"

#!/bin/sh
# abi_guest_test: the guests that look at the ABI from the inside (tests/guest/pv_*.c), on real Xen and on amphi-hv. Why: what
# they check is Xen's ABI, and Xen is who knows it. Expected: both print the same checks, line by line, and nothing
# fails; what is counted (instructions, 1 ns each) differs, and ours is not more.
# timeout: 900
. "$(dirname "$0")/lib.sh"

run() { # run GUEST: what it prints
	xen_ours "$work/$1" quick "" -smp 1 -icount shift=0,sleep=off |
		sed -n "/^pv_$1: a guest/,/^pv_$1: done/p" | grep -v '^(XEN)\|^\[hv\]'
}
for g in abi modes events grants; do
	tests/guest/build.sh "tests/guest/pv_$g.c" "$work/$g" || exit 1
	run "$g" >"$work/xen.$g"
	XEN_IMAGE=$BUILD/amphi-hv run "$g" >"$work/hv.$g"
	expect "$work/xen.$g" "^pv_$g: done$"
	for who in xen hv; do grep '^ok\|^FAILED\|done$' "$work/$who.$g" >"$work/$who"; done
	if grep '^FAILED' "$work/xen.$g" || ! diff "$work/xen" "$work/hv"; then exit 1; fi
	sed -n 's/, ns: / /p' "$work/xen.$g" | while read -r line; do
		what=${line% *} theirs=${line##* } ours=$(sed -n "s/^$what, ns: //p" "$work/hv.$g")
		echo "$what: $ours instructions, $theirs on real Xen"
		[ "$ours" -le "$theirs" ] || exit 1
	done || exit 1
done
echo "$(cat "$work"/xen.* | grep -c '^ok') checks of the ABI: the same on real Xen and on amphi-hv"

#!/bin/sh
# smp_guest_test: the guest that looks at several vCPUs (tests/guest/pv_smp.c), on real Xen and on amphi-hv. Why: what it
# checks is Xen's ABI, and Xen is who knows it. Expected: both print the same, line by line, and nothing fails.
# timeout: 300
. "$(dirname "$0")/lib.sh"
tests/guest/build.sh tests/guest/pv_smp.c "$work/smp" || exit 1

run() {
	XEN_ARGS=dom0_max_vcpus=3 xen_ours "$work/smp" quick "" -smp 3 -accel tcg,thread=single |
		sed -n '/^pv_smp: a guest/,/^pv_smp: done/p' | grep -v '^(XEN)\|^\[hv\]'
}
run >"$work/on_xen"
XEN_IMAGE=$BUILD/amphi-hv run >"$work/on_amphi_hv"
expect "$work/on_xen" '^vCPUs 3$'
expect "$work/on_xen" '^pv_smp: done$'
if grep '^FAILED' "$work/on_xen" || ! diff "$work/on_xen" "$work/on_amphi_hv"; then exit 1; fi
echo "$(grep -c '^ok' "$work/on_xen") checks of several vCPUs: the same on real Xen and on amphi-hv"

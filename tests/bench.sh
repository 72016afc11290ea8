#!/bin/sh
# The figures of `make bench`, in instructions: QEMU's -icount makes guest time count executed instructions, so they
# repeat exactly and do not depend on this machine's speed. What real Xen can do beside us is measured in the same run,
# by the same kernel binary. Bars are those the project set itself; a figure over its bar fails the run.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

get() { # get FILE LINE-REGEX KEY: the value in the first line that matches
	sed -n "/$2/s/.*[ ]$3=\([0-9]*\).*/\1/p" "$1" | head -n 1
}
figure() { # figure WHAT VALUE [BAR]: one line of the table
	verdict=
	[ -z "${3:-}" ] || { [ "$2" -le "$3" ] && verdict="bar $3: met" || { verdict="bar $3: MISSED"; failed=1; }; }
	printf '%-66s %12s  %s\n' "$1" "$2" "$verdict"
}

cat >"$work/guest.cfg" <<E2
name = "guest"
kernel = "$BUILD/amphi"
memory = 8
cmdline = 'role=guest do="bench null; bench switch; bench read xvda 1 2000; bench read xvda 32 20000; bench write xvda 32 20000; halt"'
disk = ['vdev=xvda,format=raw,access=rw,target=ram0']
E2
"$BUILD/amphi-tool" run --icount --timeout 200 --stats "$work/ours" "$work/guest.cfg" >"$work/log" || {
	cat "$work/log"; echo "bench: the domains did not end well"; exit 1; }

# Real Xen, the same kernel as its first domain. Instructions count the same way; its own start is its own affair.
BUILD=$BUILD tests/xen/root.sh
timeout -k 5 120 qemu-system-x86_64 -M q35 -accel tcg -cpu max,-smap,-smep,-rdtscp,-xsave,-rdrand,-rdseed -m 256 -nodefaults \
	-display none -no-reboot -serial stdio -monitor none -icount shift=0,sleep=off -rtc base=2026-01-01T00:00:00,clock=vm -seed 1 \
	-kernel "$BUILD/xen/xen" -append "console=com1 com1=115200 spec-ctrl=eager-fpu dom0_mem=64M,max:64M" \
	-initrd "$BUILD/amphi role=service stay do=\"bench null; bench switch; halt\"" </dev/null 2>/dev/null | tr -d '\r' >"$work/xen" || true

start=$(get "$work/ours" '^hv .*start_tsc' start_tsc)
echo "start (instructions since the firmware's end)"
figure "  hypervisor ready" $(($(get "$work/ours" '^hv .*ready_tsc' ready_tsc) - start))
figure "  guest prompt" $(($(get "$work/ours" '^guest .*ready_tsc' ready_tsc) - start)) 400000000
echo "memory"
figure "  hypervisor, KiB" "$(get "$work/ours" '^hv .*memory_kib' memory_kib)" 8192
figure "  service domain, KiB" "$(get "$work/ours" '^service @stat .*memory_kib' memory_kib)" 32768
figure "  guest, KiB" "$(get "$work/ours" '^guest @stat .*memory_kib' memory_kib)" 8192
echo "hypercalls (instructions, from guest kernel and back)"
figure "  null hypercall on amphi-hv" "$(get "$work/ours" 'null_hypercall' ticks_per_call)" 400
figure "  null hypercall on real Xen, same kernel" "$(get "$work/xen" 'null_hypercall' ticks_per_call)"
figure "  two thread switches in our kernel" "$(get "$work/ours" 'worker_call' ticks_per_call)"

row() { # row LABEL REGEX: one disk bench, both domains and the hypervisor together
	n=$(get "$work/ours" "$2" count)
	figure "  $1: instructions per 4 KiB" "$(get "$work/ours" "$2" ticks_per_io)"
	for what in requests hypercalls events_sent events_received; do
		awk -v n="$n" -v v="$(get "$work/ours" "$2" $what)" -v label="$1" -v what=$what \
			'BEGIN { printf "%-66s %12.3f\n", "  " label ": guest'\''s " what " per 4 KiB", v / n }'
	done
}
echo "disk on a RAM disk of the service domain (the copy of 4 KiB, 512 steps of rep movs, is in it)"
row "sequential read, depth 1" 'bench read .*depth=1 '
row "sequential read, depth 32" 'bench read .*depth=32 '
row "sequential write, depth 32" 'bench write .*depth=32 '

# The service domain's side of the same, over the three benches together.
awk '$1 == "hv" && match($0, / hypercalls=[0-9]+/) { calls = substr($0, RSTART + 12, RLENGTH - 12) }
	$3 ~ /^back=/ { for (i = 4; i <= NF; i++) { split($i, f, "="); v[f[1]] = f[2] } }
	END { n = v["requests"]
	      printf "%-66s %12.3f\n", "  all: hypercalls of both domains per block request, boot included", calls / n
	      printf "%-66s %12.3f\n", "  all: notifications in both directions per block request", (v["notifications"] + v["notified"]) / n }' "$work/ours"

echo "size"
tests/structure/size_test.sh | sed 's/^/  /' || failed=1
[ $failed = 0 ] || echo "a bar was missed"
exit $failed

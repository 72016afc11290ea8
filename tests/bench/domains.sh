# domains.sh: a service domain, a guest and its disk on amphi-hv, and what real Xen can do beside us, by the same binary.
# Taken in by tests/bench.sh; lib.sh has the words.
cat >"$work/guest.cfg" <<E2
name = "guest"
kernel = "$BUILD/amphi"
memory = 8
cmdline = 'role=guest do="bench null; bench switch; bench read xvda 1 2000; bench read xvda 32 20000; bench write xvda 32 20000; halt"'
disk = ['vdev=xvda,format=raw,access=rw,target=ram0']
E2
"$BUILD/amphi-tool" run --icount --timeout 600 --stats "$work/ours" "$work/guest.cfg" >"$work/log" || {
	cat "$work/log"; echo "bench: the domains did not end well"; exit 1; }

# Real Xen, the same kernel as its first domain. Instructions count the same way; its own start is its own affair.
in_qemu 120 "$work/xen" -m 256 -kernel "$BUILD/xen/xen" \
	-append "console=com1 com1=115200 spec-ctrl=eager-fpu dom0_mem=64M,max:64M" \
	-initrd "$BUILD/amphi role=service stay do=\"bench null; bench switch; halt\""

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

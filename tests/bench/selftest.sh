# selftest.sh: the whole self-test natively, with pvops and without, in instructions executed. Taken in by tests/bench.sh.
# Counted by QEMU (count_plugin.c), since guest time also passes while the processor waits; what a start costs is
# taken off, and so is the look at the pv sites, of which the other kernel has none. The check of ring 3 that lasts
# half a second by the clock is left out: it has as many instructions on any kernel. So the program runs by itself.
"${CC:-gcc}" -O2 -shared -fPIC -o "$work/count.so" tests/bench/count_plugin.c
pack_programs() {
	(cd "$BUILD/user" && printf '%s\n' self_test | cpio --quiet -o -H newc) >"$work/programs"
}
pack_programs
executed() { # executed KERNEL COMMANDS: "kernel user", in instructions
	in_qemu 60 "$work/self" -m 32 -device isa-debug-exit,iobase=0xf4 -kernel "$1" -append "do=\"$2 halt 0\"" \
		-initrd "$work/programs" -plugin "$work/count.so"
	grep -q '^@exit 0' "$work/self" || { tail -n 20 "$work/self" >&2; echo "bench: the self-test failed" >&2; return 1; }
	sed -n 's/^kernel=\([0-9]*\) user=\([0-9]*\)$/\1 \2/p' "$work/self.err"
}
less() { # less A B: "kernel user" of file A without that of file B
	paste -d ' ' "$1" "$2" | awk '{ print $1 - $3, $2 - $4 }'
}
for kernel in amphi amphi-plain; do
	part=$work/self.$kernel
	executed "$BUILD/$kernel" '' >"$part.start"
	executed "$BUILD/$kernel" 'pvops verify;' >"$part.verify"
	executed "$BUILD/$kernel" 'run self_test brief;' >"$part.ring3"
	: >"$work/programs"
	executed "$BUILD/$kernel" 'selftest;' >"$part.kernel"
	pack_programs
	less "$part.ring3" "$part.start" >"$part.ring3.net"
	less "$part.kernel" "$part.verify" >"$part.kernel.net"
	paste -d ' ' "$part.ring3.net" "$part.kernel.net" | awk '{ print $1 + $3, $1 + $2 + $3 + $4 }' >"$part"
	[ -s "$part.kernel" ] && [ -s "$part.ring3" ] || exit 1
done
read -r plain_kernel plain_all <"$work/self.amphi-plain"
read -r our_kernel our_all <"$work/self.amphi"
percent() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f\n", (a - b) * 100 / b }'; }
echo "whole self-test natively, instructions"
figure "  without pvops" "$plain_all"
figure "  with them" "$our_all"
figure "  more, in percent" "$(percent "$our_all" "$plain_all")" 0.1
figure "  in the kernel alone: without pvops" "$plain_kernel"
figure "  in the kernel alone: more, in percent" "$(percent "$our_kernel" "$plain_kernel")"

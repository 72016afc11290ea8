# selftest.sh: the whole self-test natively, with pvops and without, in instructions executed. Taken in by tests/bench.sh.
# Counted by QEMU (count_plugin.c), since guest time also passes while the processor waits; what a start costs is
# taken off. The check that lasts half a second by the clock is left out: it has as many instructions on any kernel.
"${CC:-gcc}" -O2 -shared -fPIC -o "$work/count.so" tests/bench/count_plugin.c
(cd "$BUILD/user" && printf '%s\n' self_test | cpio --quiet -o -H newc) >"$work/programs"
executed() { # executed KERNEL COMMANDS: "kernel user", in instructions
	in_qemu 60 "$work/self" -m 32 -device isa-debug-exit,iobase=0xf4 -kernel "$1" -append "do=\"$2 halt 0\"" \
		-initrd "$work/programs" -plugin "$work/count.so"
	grep -q '^@exit 0' "$work/self" || { tail -n 20 "$work/self" >&2; echo "bench: the self-test failed" >&2; return 1; }
	sed -n 's/^kernel=\([0-9]*\) user=\([0-9]*\)$/\1 \2/p' "$work/self.err"
}
for kernel in amphi amphi-plain; do
	executed "$BUILD/$kernel" '' >"$work/self.start"
	executed "$BUILD/$kernel" 'run self_test brief;' | cat "$work/self.start" - |
		awk 'NR == 1 { k = $1; u = $2 } NR == 2 { print $1 - k, $2 - u, $1 - k + $2 - u }' >"$work/self.$kernel"
	[ -s "$work/self.$kernel" ] || exit 1
done
read -r plain_kernel _ plain_all <"$work/self.amphi-plain"
read -r our_kernel _ our_all <"$work/self.amphi"
percent() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f\n", (a - b) * 100 / b }'; }
echo "ring-3 self-test natively, instructions"
figure "  without pvops" "$plain_all"
figure "  with them" "$our_all"
figure "  more, in percent" "$(percent "$our_all" "$plain_all")" 0.1
figure "  in the kernel alone: without pvops" "$plain_kernel"
figure "  in the kernel alone: more, in percent" "$(percent "$our_kernel" "$plain_kernel")"

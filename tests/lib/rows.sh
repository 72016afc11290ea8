# rows.sh: the rows of the platform table: one binary, booted everywhere, says the same; sourced by platform_*_test.sh
# in tests/{qemu,xen} after their lib.sh, which has set $work. $row_do is what every row's kernel is to run, $work/module the
# boot module it gets (the ring-3 self-test). row NAME FILE N compares the self-test in FILE with that of a bare q35, which
# is booted once per binary, and wants all pv sites patched and N CPUs online. $CPUS are the numbers of CPUs each row is booted with.
BUILD=${BUILD:-build}
CPUS=${CPUS:-1 2 4}
row_do='selftest; pvops verify; cpu; halt 0'
row_count=0
(cd "$BUILD/user" && echo self_test | cpio --quiet -o -H newc) >"$work/module"
row_sum=$(sha256sum <"$BUILD/amphi" | cut -d' ' -f1)

row_qemu() { # row_qemu [QEMU...]: a machine with a serial line, which is printed without carriage returns
	timeout -k 5 "${SECONDS_MAX:-600}" qemu-system-x86_64 -accel tcg -nodefaults -display none -no-reboot -serial stdio \
		-monitor none -device isa-debug-exit,iobase=0xf4 "$@" </dev/null 2>&1 | tr -d '\r'
}

# Log lines have times; what the self-test says has none.
row_said() { # row_said FILE
	sed -n '/^selftest: begins/,/^selftest: [0-9]/p; /^selftest: [0-9]/q' "$1" | grep -v '^\[ *[0-9]'
}

row_want() { # prints the file with what is wanted, making it the first time
	want=$BUILD/selftest.$(cat "$BUILD/amphi" "$work/module" | sha256sum | cut -c1-16)
	if [ ! -e "$want" ]; then
		row_qemu -M q35 -cpu max -m 32 -kernel "$BUILD/amphi" -initrd "$work/module" -append "do=\"$row_do\"" >"$work/first"
		row_said "$work/first" >"$work/want"
		grep -qE '^selftest: ([4-9][0-9]|[0-9]{3,}) ok, 0 failed' "$work/want" ||
			{ echo "the self-test on a bare q35:" >&2; tail -n 70 "$work/first" >&2; exit 1; }
		rm -f "$BUILD"/selftest.*
		mv "$work/want" "$want"
	fi
	echo "$want"
}

row() { # row NAME FILE CPUS
	want=$(row_want) || exit 1
	row_compare "$@"
}

# The same of a kernel that was given no module and told to leave out breakpoints.
row_in_part() { # row_in_part NAME FILE CPUS
	want=$(row_want) || exit 1
	n=$(sed -n 's/^selftest: \([0-9]*\) ok.*/\1/p' "$want")
	sed "/^ring 3: self_test/,/^ring 3: done/d; s/\(breakpoint\): ok/\1: left out/; s/^selftest: $n ok/selftest: $((n - 1)) ok/" "$want" >"$work/part"
	want=$work/part
	row_compare "$@"
}

row_compare() {
	row_said "$2" >"$work/got"
	diff "$want" "$work/got" | head -n 12; cmp -s "$want" "$work/got" || { echo "$1: the self-test differs from that of a bare q35; the end of all it said:"; tail -n 50 "$2"; exit 1; }
	grep -q '^@pvops indirect=0 differing=0' "$2" || { echo "$1: not every pv site is as planned"; grep '^@pvops' "$2"; exit 1; }
	grep -q "^@cpu count=$3 online=$3" "$2" || { echo "$1: not $3 CPUs"; grep '^@cpu' "$2"; exit 1; }
	row_count=$((row_count + 1))
}

rows_end() { # rows_end WHAT
	echo "$1: $row_count rows, $(sed -n 's/^selftest: \([0-9]*\) ok.*/\1/p' "$work/got") checks each, the same; amphi is $row_sum"
}

# hot_sites.sh: the text of our kernel as it runs natively, held against a kernel without pvops by hot_sites.c. Sourced by
# tests/bench/sites.sh and tests/qemu/hot_sites_test.sh, which have set $BUILD and $work. hot_sites prints a line per
# operation and fails when a site has other instructions, or more of them; compare_text does it with the text that was
# dumped last.
dump_text() { # dump_text OUT: 3 MiB from where the kernel is loaded, once it is patched and at its prompt
	: >"$work/dump.serial"
	{
		for i in $(seq 300); do grep -q '^@ready' "$work/dump.serial" && break; sleep 0.1; done
		printf 'pmemsave 0x100000 0x300000 "%s"\nquit\n' "$1"
	} | timeout -k 5 60 qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 32 -nodefaults -display none -no-reboot \
		-serial "file:$work/dump.serial" -monitor stdio -kernel "$BUILD/amphi" >"$work/dump.log" 2>&1
	[ -s "$1" ] || { echo "no text could be dumped"; cat "$work/dump.log" "$work/dump.serial"; return 1; }
}
address() { # address SYMBOL
	nm "$BUILD/amphi" | sed -n "s/^\([0-9a-f]*\) . $1\$/\1/p"
}
compare_text() {
	object=$BUILD/plain/tests/plain/hot.c.o
	objcopy -O binary -j .text "$object" "$work/hot.code"
	nm "$object" | grep ' T hot_' | "$BUILD/hot_sites" "$work/text" ffffffff80100000 "$(address pv_sites_start)" \
		"$(address pv_sites_end)" "$work/hot.code"
}
hot_sites() {
	dump_text "$work/text" && compare_text
}

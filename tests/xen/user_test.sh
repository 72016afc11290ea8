#!/bin/sh
# user_test: programs in ring 3 in PV domains of Debian's real Xen: our kernel as the first domain and as a domU
# that xl makes. Why: two top tables, mode switches by iret and callback, and descriptors are Xen's to judge.
# Expected: the self-test says what it says on a bare machine, line by line, and no page is lost. timeout: 400
. "$(dirname "$0")/lib.sh"
cp "$BUILD/user/self_test" "$BUILD/user/hello" "$work/"
(cd "$work" && printf '%s\n' self_test hello | cpio --quiet -o -H newc >ramdisk)
self() {
	sed -n 's/([0-9]*) has/has/; /^ring 3: self_test/,/^ring 3: done/p; /^ring 3: done/q' "$1"
}
timeout -k 5 180 qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 32 -nodefaults -display none -no-reboot -serial stdio \
	-monitor none -kernel "$BUILD/amphi" -append 'do="run self_test; halt"' -initrd "$work/ramdisk" \
	</dev/null 2>&1 | tr -d '\r' >"$work/native"
expect "$work/native" '^@program self_test 1 exit 0'
self "$work/native" >"$work/want"

same() { # same FILE WHO
	expect "$1" '^@program self_test 1 exit 0'
	self "$1" >"$work/got"
	diff "$work/want" "$work/got" || { echo "the self-test differs in the $2"; exit 1; }
	[ "$(sed -n 's/^memory .* free \([0-9]*\) KiB.*/\1/p' "$1" | sort | uniq -c | grep -c '^ *2 ')" = 1 ] ||
		{ echo "programs have left pages in use in the $2:"; grep ^memory "$1"; exit 1; }
	expect "$1" '^@pvops indirect=0 differing=0'
}
commands='run self_test; mem; run -2 self_test turns; run -2 self_test rights; run hello; mem; pvops verify; halt'
XEN_ARGS=dom0_max_vcpus=2 xen_ours "$BUILD/amphi" "role=native ports=80-80 do=\"run self_test given; $commands\"" "$work/ramdisk" >"$work/log"
same "$work/log" "first domain"

mkdir -p "$work/test"
cp "$BUILD/amphi" "$work/ramdisk" "$work/test/"
cat >"$work/test/run.sh" <<R
cat >/tmp/u1.cfg <<'C'
name="u1"
type="pv"
kernel="/test/amphi"
ramdisk="/test/ramdisk"
cmdline="role=guest do=\"$commands\""
memory=16
vcpus=2
tsc_mode="native"
on_poweroff="destroy"
on_crash="preserve"
C
R
cat >>"$work/test/run.sh" <<'R'
xl create /tmp/u1.cfg || exit 1
until_ended u1
sed 's/^/[u1] /' /var/log/xen/console/guest-u1.log
! xl domid u1 >/dev/null 2>&1
R
xen_linux "$work/test" >"$work/log"
sed -n 's/^\[u1\] //p' "$work/log" >"$work/u1"
[ -s "$work/u1" ] || { tail -n 40 "$work/log"; exit 1; }
same "$work/u1" "domU"
expect "$work/log" '^TEST-EXIT: 0'
echo "ring 3 in PV domains of real Xen: $(grep -c '^ok ' "$work/want") checks, as on a bare machine"

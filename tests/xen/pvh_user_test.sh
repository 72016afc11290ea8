#!/bin/sh
# pvh_user_test: programs in ring 3 in a PVH domU of real Xen.
# Why: system calls, faults and the FPU's state are the processor's own there, under a hypervisor that can
# only watch; the events come in between by a vector. Expected: the self-test says what it says on a bare
# machine, line by line, and no page is lost. (PV domains: user_test.sh.) timeout: 500
. "$(dirname "$0")/lib.sh"
mkdir -p "$work/test"
(cd "$BUILD/user" && printf '%s\n' self_test hello | cpio --quiet -o -H newc) >"$work/test/ramdisk"
cp "$BUILD/amphi" "$work/test/"
self() { sed -n 's/([0-9]*) has/has/; /^ring 3: self_test/,/^ring 3: done/p; /^ring 3: done/q' "$1"; }
timeout -k 5 180 qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 32 -nodefaults -display none -no-reboot -serial stdio \
	-monitor none -kernel "$BUILD/amphi" -append 'do="run self_test; halt"' -initrd "$work/test/ramdisk" \
	</dev/null 2>&1 | tr -d '\r' >"$work/native"
expect "$work/native" '^@program self_test 1 exit 0'
cat >"$work/test/run.sh" <<'R'
cat >/tmp/h1.cfg <<'C'
name="h1"
type="pvh"
kernel="/test/amphi"
ramdisk="/test/ramdisk"
cmdline="do=\"run self_test; mem; run -2 self_test turns; run -2 self_test rights; run hello; mem; pvops verify; halt\""
memory=16
shadow_memory=4
tsc_mode="native"
on_poweroff="destroy"
on_crash="preserve"
C
xl create /tmp/h1.cfg || exit 1
until_ended h1
sed 's/^/[h1] /' /var/log/xen/console/guest-h1.log
! xl domid h1 >/dev/null 2>&1
R
xen_linux "$work/test" >"$work/log"
sed -n 's/^\[h1\] //p' "$work/log" >"$work/h1"
expect "$work/h1" '^@program self_test 1 exit 0'
self "$work/native" >"$work/want"
self "$work/h1" | diff "$work/want" - || { echo "the self-test differs"; exit 1; }
[ "$(sed -n 's/^memory .* free \([0-9]*\) KiB.*/\1/p' "$work/h1" | uniq | wc -l)" = 1 ] ||
	{ echo "programs have left pages in use:"; grep ^memory "$work/h1"; exit 1; }
expect "$work/h1" '^@pvops indirect=0 differing=0'
expect "$work/log" '^TEST-EXIT: 0'
echo "ring 3 in a PVH domain of real Xen: $(grep -c '^ok ' "$work/want") checks, as on a bare machine"

#!/bin/sh
# linux_load_test: a stock Debian Linux on amphi-hv, 2 vCPUs on 2 CPUs, under stress-ng, while its second CPU goes and comes; and what
# its kernel complained of.
# Why: page tables made and torn down in two address spaces at once, forks, signals (the iret paths), timers and FPU state are where a
# PV hypervisor is wrong, and only under load; the kernel sees most of it itself (bad page states, stalls, #GP). Expected:
# each stressor ends well, with its own checks on; the CPU goes and comes as often as asked; no splat; and no warning of a
# whole boot that the same kernel does not give on real Xen. SOAK=1 works for ten minutes.
# timeout: 420
. "$(dirname "$0")/lib.sh"
. "$here/linux.sh"
"$here/tools.sh" || { echo "cannot get stress-ng"; exit 1; }
seconds=20
[ "${SOAK:-}" ] && seconds=600 && LINUX_SECONDS=6000

linux_initrd "$work/initrd" <<R
mount -t ext4 -o ro /dev/xvda /tools
for d in dev proc sys tmp; do mount --bind /\$d /tools/\$d; done
online=/sys/devices/system/cpu/cpu1/online
dmesg -r | grep -E '^<[0-4]>' | sed 's/^<[0-9]*>\[ *[0-9.]*\] //; s/^/GUEST complains: /'
grep -q only-boot /proc/cmdline && poweroff -f
chroot /tools /bin/stress-ng --cpu 2 --vm 1 --vm-bytes 4m --fork 1 --mmap 1 --mmap-bytes 1m --sigsegv 1 --sigfpe 1 --timer 1 --mprotect 1 \\
	--verify --temp-path /tmp --metrics-brief --timeout ${seconds}s >/tmp/out 2>&1 &
stress=\$!
gone=0 came=0
while kill -0 \$stress 2>/dev/null; do
	sleep 2
	echo 0 >\$online && [ "\$(cat \$online)" = 0 ] && [ "\$(nproc)" = 1 ] && gone=\$((gone + 1))
	sleep 0.5
	echo 1 >\$online && [ "\$(cat \$online)" = 1 ] && [ "\$(nproc)" = 2 ] && came=\$((came + 1))
done
wait \$stress
echo "GUEST stress-ng status \$?"
sed 's/^/GUEST /' /tmp/out
echo "GUEST cpu1 gone \$gone come \$came"
taskset 2 sh -c 'cut -d" " -f39 /proc/self/stat | sed "s/^/GUEST at the end on CPU /"'
dmesg | grep -E 'Call Trace|Oops|BUG|WARNING|stalls? |blocked for|Bad page|general protection|Out of memory' | sed 's/^/GUEST splat: /'
poweroff -f
R
pack() {
	ar_new
	ar_file /vmlinux "$xen_dir/vmlinux"
	ar_file /initrd "$work/initrd"
	ar_disk /b.img amphi1
	linux_domain linux "$1" 'memory = 384' 'vcpus = 2' "disk = ['/b.img,raw,xvda,ro']"
	ar_pack "$work/archive"
}
disk="-drive file=$xen_dir/tools.img,if=none,id=b,format=raw,readonly=on -device nvme,serial=amphi1,drive=b"
SERVICE_WORDS=
run() { # run HYPERVISOR WORDS OUT
	pack "$2"
	# shellcheck disable=SC2086
	linux_start "$1" 2 900 $disk
	linux_wait '^@exit ' "${LINUX_SECONDS:-240}"
	wait $machine
	tr -d '\r' <"$log" >"$3"
	grep '^\[linux\] GUEST complains' "$3" | sort -u >"$3.complaints" || true
}
run amphi-hv '' "$work/said"
expect "$work/said" '^\[linux\] GUEST stress-ng status 0'
expect "$work/said" '^\[linux\] GUEST stress-ng: .*successful run completed'
for stressor in cpu vm fork mmap sigsegv sigfpe timer mprotect; do
	expect "$work/said" "^\\[linux\\] GUEST stress-ng: .* $stressor  *[1-9][0-9]* "
done
expect "$work/said" '^\[linux\] GUEST at the end on CPU 1'
ups=$(sed -n 's/^\[linux\] GUEST cpu1 gone \([0-9]*\) come \1$/\1/p' "$work/said")
[ "${ups:-0}" -ge 2 ] || linux_fail "cpu1 went and came $ups times"
! grep 'GUEST splat' "$work/said" || linux_fail "a splat"

# The same kernel and ramdisk on real Xen: what it says there of itself is not ours to answer for.
run xen only-boot "$work/on-xen"
new=$(comm -23 "$work/said.complaints" "$work/on-xen.complaints")
[ -z "$new" ] || { echo "said on amphi-hv and not on real Xen:"; echo "$new"; exit 1; }
echo "stress-ng for $seconds s on 2 vCPUs, its CPU 1 off and on $ups times: all verified, no splat, no warning that real Xen does not give"

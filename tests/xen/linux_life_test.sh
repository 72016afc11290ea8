#!/bin/sh
# linux_life_test: a stock Debian Linux, on amphi-hv and on real Xen, is managed from the host by our service domain while it runs:
# memory, vCPUs, pause, reboot, power-off.
# Why: our own kernel would obey a toolstack that is wrong in the same way as it is. Expected: Linux's balloon gives memory
# back and takes it again, and both sides count the same; vCPUs come and go, on the CPUs they are pinned to; a paused Linux
# stands still; reboot and shutdown are obeyed as xl's are; a panic is a crash, and its remains are kept.
# timeout: 560
. "$(dirname "$0")/lib.sh"
. "$here/../lib/archive.sh"

root=$work/root
mkdir -p "$root/bin" "$root/sbin" "$root/proc" "$root/sys" "$root/dev"
cp "$xen_dir/root/usr/bin/busybox" "$root/bin/"
# Linux calls /sbin/poweroff and /sbin/reboot when it is asked to end. A CPU that has come is put into use by whoever
# cares: udev, where there is one.
for word in poweroff reboot; do printf '#!/bin/busybox sh\nexec /bin/busybox %s -f\n' $word >"$root/sbin/$word"; done
cat >"$root/init" <<'R'
#!/bin/busybox sh
export PATH=/bin:/sbin
busybox mount -t proc proc /proc
busybox --install -s /bin
mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
grep -q crash /proc/cmdline && echo c >/proc/sysrq-trigger
while :; do
	for c in /sys/devices/system/cpu/cpu[0-9]*/online; do [ "$(cat $c)" = 1 ] || echo 1 >$c 2>/dev/null; done
	echo "LINUX: $(nproc) vCPUs, $(cat /sys/devices/system/xen_memory/xen_memory0/info/current_kb) KiB, up $(cut -d. -f1 /proc/uptime) s"
	sleep 0.5
done
R
chmod +x "$root/init" "$root"/sbin/*
(cd "$root" && find . -mindepth 1 | cpio --quiet -o -H newc -R 0:0) >"$work/initrd"
ar_file /vmlinux "$xen_dir/vmlinux"
ar_file /initrd "$work/initrd"
domain() { # domain NAME WORDS LINE...
	name=$1 words=$2; shift 2
	{
		printf 'name = "%s"\nkernel = "/vmlinux"\nramdisk = "/initrd"\n' "$name"
		printf 'cmdline = "console=hvc0 loglevel=4 tsc=reliable %s"\n' "$words"
		printf '%s\n' "$@"
	} | ar_domain "$name"
}
domain linux '' 'memory = 160' 'maxmem = 256' 'vcpus = 1' 'maxvcpus = 2' 'cpus = ["0", "0"]'
domain crasher crash 'memory = 128' 'on_crash = "preserve"'
ar_pack "$work/archive"

machine=
trap 'kill $machine 2>/dev/null; wait; rm -rf "$work"' EXIT
start() { # start HYPERVISOR WORDS CPU: a machine with a control port; not by xen_qemu, which would outlive us
	rm -f "$work/s.ctl"
	timeout -k 5 540 qemu-system-x86_64 -M q35 -accel tcg -cpu "$3" -m 1000 -nodefaults -display none -no-reboot -serial stdio \
		-monitor none -chardev "socket,id=ctl,path=$work/s.ctl,server=on,wait=off" -serial chardev:ctl -kernel "$1" -append "$2" \
		-initrd "$BUILD/amphi dma_panic role=service stay,$work/archive" </dev/null >"$work/log" 2>&1 &
	machine=$!
	for _ in $(seq 400); do [ -e "$work/s.ctl" ] && break; sleep 0.1; done
}
fail() { echo "$how: $*; the machine said:"; tail -n 50 "$work/log"; exit 1; }
ctl() { "$BUILD/amphi-tool" ctl --timeout 300 --socket "$work/s.ctl" "$@" >"$work/out" 2>&1 || fail "ctl $*: $(cat "$work/out")"; }
# What has been said since `mark` was called.
mark() { from=$(wc -l <"$work/log"); }
said() { tail -n "+$((from + 1))" "$work/log" | tr -d '\r' | grep -qE -- "$1"; }
wait_for() { # wait_for REGEX: a line of the machine's, within a minute and a half
	for _ in $(seq 1800); do
		said "$1" && return
		sleep 0.2
	done
	fail "no /$1/"
}
says() { # says REGEX COMMAND...: a command's answer, soon
	wanted=$1; shift
	for _ in $(seq 400); do
		ctl "$@"
		grep -qE -- "$wanted" "$work/out" && return
		sleep 0.2
	done
	echo "$*:"; cat "$work/out"; fail "expected /$wanted/"
}

manage() {
	from=0
	wait_for '^\[linux\] LINUX: 1 vCPUs, 163840 KiB'
	says '^linux +1 +[a-z]+ +1 +2 +[0-9.]+ +163840 ' list linux
	ctl mem-set linux 128
	mark; wait_for '^\[linux\] LINUX: 1 vCPUs, 131072 KiB'
	says '^linux +1 +[a-z]+ +1 +2 +[0-9.]+ +131072 ' list linux
	ctl mem-set linux 200
	mark; wait_for '^\[linux\] LINUX: 1 vCPUs, 204800 KiB'
	says '^linux +1 +[a-z]+ +1 +2 +[0-9.]+ +204800 ' list linux
	ctl vcpu-set linux 2
	mark; wait_for '^\[linux\] LINUX: 2 vCPUs'
	says '^linux +1 +0 +0 .* 0x1$' vcpu-list linux
	ctl vcpu-set linux 1
	mark; wait_for '^\[linux\] LINUX: 1 vCPUs'
	says '^linux +1 +1 +- +offline ' vcpu-list linux
	ctl pause linux
	says '^linux +1 +paused ' list linux
	sleep 1; mark; sleep 2 # four times what is between its words
	said '^\[linux\]' && fail "a paused Linux spoke"
	ctl unpause linux
	wait_for '^\[linux\] LINUX: '
	from=0; wait_for '^@domain crasher exit 131'
	says '^crasher +2 +ended ' list crasher
	mark; ctl reboot linux
	wait_for '^@domain linux id=3'
	wait_for '^\[linux\] LINUX: 1 vCPUs, 163840 KiB, up [0-9]+ s'
	says '^linux +3 .* 1$' list linux
	mark; ctl shutdown linux
	wait_for '^@domain linux exit 0'
	ctl destroy crasher
	ctl --json list
	grep -c '"name"' "$work/out" | grep -qx 1 || fail "more than the service domain is left: $(cat "$work/out")"
}

how=amphi-hv
start "$BUILD/amphi-hv" dom0_mem=300M max
manage
kill $machine; wait $machine
how=Xen
start "$xen_dir/xen" "console=com1 com1=115200 spec-ctrl=eager-fpu dom0_mem=300M,max:300M" max,-smap,-smep,-rdtscp,-xsave
manage
echo "stock Linux gave and took memory and vCPUs, stood still, rebooted and powered off as it was told, on amphi-hv and on Xen"

# linux.sh: a stock Debian Linux as guest of amphi-hv (or of real Xen), managed by our service domain, for a test; sourced by
# tests/xen/linux_*_test.sh after lib.sh. linux_initrd OUT makes a ramdisk of busybox, the modules of an ext4 on xen-blkfront
# and the job on standard input: what its init runs when /proc, /sys and /dev are there and xvda has come ($linux_programs adds
# files, $linux_overlay a folder's contents (an /early in it runs before the modules are loaded) and $linux_more modules; nodisk in the kernel's line waits for no disk; a word blkfront:A=1,B=2 of the kernel's line gives xen-blkfront parameters). linux_domain NAME WORDS LINE... writes a domain file; linux_start QEMU... boots what ar_pack has packed, with a
# control port; linux_wait REGEX waits for a line of its serial port, linux_ctl and linux_says speak to the port.
# It does not say what is expected: the tests do. Calls cpio(1), QEMU and amphi-tool ctl.
. "$here/../lib/archive.sh"
machine=
log=$work/log
trap 'kill $machine 2>/dev/null || :; wait; rm -rf "$work"' EXIT # a bench has -e, and a status of its own
linux_modules=$xen_dir/x/lib/modules/$(cat "$xen_dir/kver")

linux_fail() {
	echo "$*; the machine said:"
	[ -e "$log" ] && tail -n "${LINUX_TAIL:-60}" "$log"
	exit 1
}

# Modules in the order in which they can be loaded, each once: what modules.dep names is needed by what stands before it.
linux_module_files() {
	for m in "$@"; do grep -E "/$m\\.ko:" "$linux_modules/modules.dep" | tr -d : | tr ' ' '\n' | tac; done | awk '!seen[$0]++'
}

linux_initrd() {
	root=$work/linux-root
	rm -rf "$root"; mkdir -p "$root/bin" "$root/sbin" "$root/proc" "$root/sys" "$root/dev" "$root/m" "$root/mnt" "$root/tools" "$root/tmp"
	cp "$xen_dir/root/usr/bin/busybox" "$root/bin/"
	# shellcheck disable=SC2086
	[ -z "${linux_programs:-}" ] || cp $linux_programs "$root/bin/"
	[ -z "${linux_overlay:-}" ] || cp -a "$linux_overlay/." "$root/"
	for word in poweroff reboot; do printf '#!/bin/busybox sh\nexec /bin/busybox %s -f\n' $word >"$root/sbin/$word"; done
	# shellcheck disable=SC2086
	linux_module_files xen-blkfront crc32c_generic ext4 ${linux_more:-} | while read -r m; do
		cp "$linux_modules/$m" "$root/m/"
		case $m in
		*/xen-blkfront.ko) # printf, because echo makes a byte of \1
			printf '%s\n' "insmod /m/xen-blkfront.ko \$(sed -n 's/.*blkfront:\([^ ]*\).*/\1/p' /proc/cmdline | tr , ' ')" ;;
		*) echo "insmod /m/$(basename "$m")" ;;
		esac
	done >"$root/modules"
	cat >"$root/job"
	cat >"$root/init" <<-'I'
	#!/bin/busybox sh
	export PATH=/bin:/sbin
	busybox mount -t proc proc /proc # before --install, which asks it for its own name
	busybox --install -s /bin
	mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp
	mkdir /dev/shm; mount -t tmpfs shm /dev/shm
	[ ! -e /early ] || . /early
	. /modules
	grep -q nodisk /proc/cmdline || for i in $(seq 400); do [ -b /dev/xvda ] && break; sleep 0.1; done
	. /job
	I
	chmod +x "$root/init" "$root"/sbin/*
	(cd "$root" && find . -mindepth 1 | cpio --quiet -o -H newc -R 0:0) >"$1"
}

linux_domain() { # linux_domain NAME WORDS LINE...
	name=$1 words=$2; shift 2
	{
		printf 'name = "%s"\nkernel = "/vmlinux"\nramdisk = "/initrd"\n' "$name"
		printf 'cmdline = "console=hvc0 loglevel=5 tsc=reliable %s"\n' "$words"
		printf '%s\n' "$@"
	} | ar_domain "$name"
}

# Of real Xen, see lib.sh for what it does not get. LINUX_SECONDS is how long the machine may live.
linux_start() { # linux_start amphi-hv|xen CPUS MIB QEMU...
	case $1 in
	xen) hv=$xen_dir/xen cpu=max,-smap,-smep,-rdtscp,-xsave words="console=com1 com1=115200 spec-ctrl=eager-fpu $xen_several dom0_mem=300M,max:300M" ;;
	*) hv=$BUILD/amphi-hv cpu=max words=dom0_mem=300M ;;
	esac
	cpus=$2 mib=$3; shift 3
	rm -f "$work/s.ctl"
	timeout -k 5 "${LINUX_SECONDS:-450}" qemu-system-x86_64 -M q35 -accel "tcg,thread=${LINUX_THREAD:-single}" -smp "$cpus" -cpu "$cpu" -m "$mib" \
		-nodefaults -display none -no-reboot -serial stdio -monitor none \
		-chardev "socket,id=ctl,path=$work/s.ctl,server=on,wait=off" -serial chardev:ctl -kernel "$hv" -append "$words" \
		-initrd "$BUILD/amphi dma_panic role=service ${SERVICE_WORDS-stay},$work/archive" "$@" </dev/null >"$log" 2>&1 &
	machine=$!
	for _ in $(seq 400); do [ -e "$work/s.ctl" ] && break; sleep 0.1; done
}

linux_stop() {
	kill $machine 2>/dev/null
	wait $machine
	machine=
}

# From the line after the last linux_mark, or from the first.
from=0
linux_mark() { from=$(wc -l <"$log"); }
linux_said() { tail -n "+$((from + 1))" "$log" | tr -d '\r' | grep -qE -- "$1"; }
linux_wait() { # linux_wait REGEX [SECONDS]
	end=$(($(date +%s) + ${2:-100}))
	while :; do
		linux_said "$1" && return
		[ "$(date +%s)" -lt $end ] || linux_fail "no /$1/"
		kill -0 $machine 2>/dev/null || { linux_said "$1" && return; linux_fail "no /$1/, and the machine has ended"; }
		sleep 0.2
	done
}

linux_ctl() {
	"$BUILD/amphi-tool" ctl --timeout 300 --socket "$work/s.ctl" "$@" >"$work/out" 2>&1 || linux_fail "ctl $*: $(cat "$work/out")"
}

linux_says() { # linux_says REGEX COMMAND...: a command's answer, soon
	wanted=$1; shift
	for _ in $(seq 400); do
		linux_ctl "$@"
		grep -qE -- "$wanted" "$work/out" && return
		sleep 0.2
	done
	linux_fail "$*: $(cat "$work/out"), expected /$wanted/"
}

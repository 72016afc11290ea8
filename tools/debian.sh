#!/bin/sh
# debian.sh (`make example-debian`): makes a disk with a real, small Debian from Debian's packages (mmdebstrap: debootstrap's
# work in a third of the time) and boots it on amphi-hv: examples/debian.cfg. INIT=systemd instead of sysvinit. With a terminal
# the console is the person's; without, or with CHECK=1, a script logs in on a copy of the disk, works, powers off, and
# e2fsck(8) must find nothing. What is finished is kept in $BUILD/debian ($BUILD/debian-systemd): `debian.sh clean` removes it.
# Root is needed to make the disk (chroot(2)), not to run it; no root file system is mounted. Calls deps.sh, mke2fs, amphi-tool.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
PATH=$PATH:/sbin:/usr/sbin
disk_size=1G

fail() { echo "make example-debian: $*" >&2; exit 1; }

case ${INIT:=sysvinit} in
sysvinit) out=$BUILD/debian init=sysvinit-core,initscripts,sysv-rc ;;
systemd) out=$BUILD/debian-systemd init=systemd-sysv,dbus ;;
*) fail "INIT is sysvinit or systemd, not $INIT" ;;
esac
packages=$init,udev,kmod,procps,e2fsprogs,iproute2,linux-image-amd64,initramfs-tools

# Where this machine's own packages come from, when it is a Debian; else where anybody's come from.
suite() { . /etc/os-release && [ "$ID" = debian ] && echo "${VERSION_CODENAME:-bookworm}" || echo bookworm; }
mirror() {
	site=$(apt-get indextargets --format '$(RELEASE) $(SITE)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
		awk -v suite="$1" '$1 == suite { print $2; exit }')
	echo "${site:-http://deb.debian.org/debian}"
}

# Debian's own ramdisk, with the two modules this machine's root needs and not the hundreds that any other would. It is told so
# before the kernel's package is installed, which makes the ramdisk.
small_ramdisk='mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"
	echo MODULES=list >"$1/etc/initramfs-tools/conf.d/amphi"
	printf "xen-blkfront\next4\n" >"$1/usr/share/initramfs-tools/modules.d/amphi"'

# The root: what mmdebstrap leaves, and four words of configuration.
make_root() {
	root=$out/root
	rm -rf "$root"
	echo "debian: $1 from $2 (minutes; log in $out/mmdebstrap.log)"
	mmdebstrap --mode=root --variant=minbase --include="$packages" --essential-hook="$small_ramdisk" \
		"$1" "$root" "$2" >"$out/mmdebstrap.log" 2>&1 ||
		{ tail -n 5 "$out/mmdebstrap.log" >&2; fail "mmdebstrap has failed"; }
	echo debian >"$root/etc/hostname"
	echo '/dev/xvda / ext4 errors=remount-ro 0 1' >"$root/etc/fstab"
	passwd -q -R "$(realpath "$root")" -d root 2>/dev/null || sed -i 's/^root:[^:]*:/root::/' "$root/etc/shadow"
	[ "$INIT" = sysvinit ] || return 0
	# There is no screen: the one getty is on the paravirtual console, where systemd finds it by itself.
	sed -i '/getty/d' "$root/etc/inittab"
	echo 'h0:2345:respawn:/sbin/agetty -L 115200 hvc0 linux' >>"$root/etc/inittab"
}

make_disk() {
	mkdir -p "$out"
	release=$(suite)
	make_root "$release" "$(mirror "$release")"
	cp "$out"/root/boot/vmlinuz-* "$out/vmlinuz"
	cp "$out"/root/boot/initrd.img-* "$out/initrd.img"
	rm -f "$out/disk.img"
	mke2fs -q -F -t ext4 -L debian -d "$out/root" "$out/disk.img" "$disk_size" >/dev/null
	rm -rf "$out/root"
	[ "$(id -u)" != 0 ] || [ -z "${SUDO_UID:-}" ] || chown "$SUDO_UID:$SUDO_GID" "$out" "$out"/*
	touch "$out/.made"
}

ensure_disk() {
	[ -e "$out/.made" ] && return
	tools/deps.sh debian
	if [ "$(id -u)" = 0 ]; then
		make_disk
	else
		command -v sudo >/dev/null || fail "making the disk needs root: run it once as root, or install sudo"
		sudo env BUILD="$BUILD" INIT="$INIT" "$0" disk
	fi
}

# The example as it stands, with this build's files in it.
config() { # config DISK
	sed -e "s,build/debian/disk.img,$1," -e "s,build/debian/,$out/," examples/debian.cfg
}

# What a person would do at the console: each line is typed when its prompt has come.
prompt() { # prompt TEXT LINE
	for _ in $(seq 3600); do
		grep -qF -- "$1" "$work/screen" && break
		kill -0 $machine 2>/dev/null || fail "the machine has ended: $(tail -n 20 "$work/log")"
		sleep 0.2
	done
	grep -qF -- "$1" "$work/screen" || { tail -n 20 "$work/log" "$work/screen" >&2; fail "no '$1' on the console"; }
	echo "$2" >&3
}

check() {
	work=$(mktemp -d)
	machine='' console=''
	trap 'kill $machine $console 2>/dev/null || true; wait; rm -rf "$work"' EXIT
	cp --sparse=always "$out/disk.img" "$work/disk.img"
	config "$work/disk.img" >"$work/debian.cfg"
	"$BUILD/amphi-tool" run --accel tcg --timeout 800 --ctl "$work/ctl" "$work/debian.cfg" >"$work/log" 2>&1 &
	machine=$!
	for _ in $(seq 400); do [ -e "$work/ctl" ] && break; sleep 0.1; done
	mkfifo "$work/keys"
	"$BUILD/amphi-tool" ctl --socket "$work/ctl" --timeout 800 console debian <"$work/keys" >"$work/screen" 2>&1 &
	console=$!
	exec 3>"$work/keys"
	prompt 'login: ' root
	prompt '# ' 'echo "it runs on $(cat /sys/hypervisor/type), Debian $(cat /etc/debian_version), $(nproc) vCPUs, root $(findmnt -no SOURCE,FSTYPE /)"'
	prompt 'it runs on xen, Debian' 'date >/root/was-here; dmesg -l emerg,alert,crit,err,warn; echo "dmesg"" end"; poweroff'
	status=0
	wait $machine || status=$?
	exec 3>&-
	wait $console || true
	tr -d '\r' <"$work/screen" | tr -cd '[:print:]\t\n' | grep -v '^$' >&2
	[ $status = 0 ] || { tail -n 20 "$work/log" >&2; fail "the machine ended with $status"; }
	e2fsck -fn "$work/disk.img" >"$work/fsck" 2>&1 || { cat "$work/fsck" >&2; fail "the file system is not clean"; }
	debugfs -R 'stat /root/was-here' "$work/disk.img" 2>&1 | grep -q 'Type: regular' || fail "what was written is not there"
	echo "Debian booted to its login, was used and powered off; its file system is clean"
}

person() {
	config "$out/disk.img" >"$out/debian.cfg"
	echo "Debian boots on amphi-hv; log in as root, no password. 'poweroff' ends it. Ctrl-A steps hypervisor -> service -> debian."
	exec "$BUILD/amphi-tool" run --interactive "$out/debian.cfg"
}

case ${1:-} in
clean) rm -rf "$out" ;;
disk) make_disk ;;
'')
	ensure_disk
	if [ "${CHECK:-}" ] || [ ! -t 0 ]; then check; else person; fi
	;;
*) echo "usage: debian.sh [disk|clean]" >&2; exit 2 ;;
esac

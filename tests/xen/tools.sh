#!/bin/sh
# Makes what Linux in a test runs beside busybox, from Debian's packages, into $BUILD/xen: tools.sh [net]. tools/ is a folder with
# fio, stress-ng, lspci, mke2fs and e2fsck and the libraries they need, tools.img an ext4 of it; they are run by chroot(1) in either (fs.sh).
# `net`: nettools/ instead, a folder with iperf3, ethtool, tcpdump and our own netcheck and netaccount, small enough to be laid
# over a ramdisk (linux.sh). Nothing is installed: the packages they depend on are downloaded by name and unpacked. It is
# not the guest's root, which each test makes for itself (busybox, an init, modules). Made once; root.sh makes the rest.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "${BUILD:-build}/xen" && cd "${BUILD:-build}/xen" && pwd)
PATH=$PATH:/sbin:/usr/sbin
kind=${1:-disk}
exec 9>"$out/lock-tools"; flock 9
x=$out/tools.x

# Of all they depend on, programs in them are not wanted (perl, python, adduser), only libraries.
libraries() {
	apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
		fio stress-ng pciutils | grep -E '^lib' | grep -vE -- '-perl$|^libperl|^libpython|-common$|^libpam|:' | sort -u
}

fetch() { # fetch PACKAGE...: into $x
	rm -rf "$root" "$out/tools.debs" "$x"
	mkdir -p "$out/tools.debs" "$x"
	(cd "$out/tools.debs" && apt-get -qq -o APT::Sandbox::User=root download "$@")
	for deb in "$out"/tools.debs/*.deb; do dpkg -x "$deb" "$x"; done
	mkdir -p "$root/bin" "$root/lib"
	ln -s lib "$root/lib64"
}

libs=$x/usr/lib/x86_64-linux-gnu:$x/lib/x86_64-linux-gnu:$x/usr/lib/x86_64-linux-gnu/ceph
add() { # add PROGRAM: and its libraries
	cp "$1" "$root/bin/"
	LD_LIBRARY_PATH=$libs ldd "$1" >"$out/tools.ldd"
	! grep 'not found' "$out/tools.ldd" || { echo "$1 lacks a library"; exit 1; }
	awk '/=> \//{print $3} /^\t\/lib64/{print $1}' "$out/tools.ldd" | while read -r lib; do cp -L -n "$lib" "$root/lib/"; done
}

made() {
	rm -rf "$x" "$out/tools.debs"
	touch "$root/.made"
}

disk() {
	root=$out/tools
	[ -e "$out/tools.img" ] && [ -e "$root/bin/lspci" ] && return
	if [ ! -e "$root/.made" ] || [ ! -e "$root/bin/lspci" ]; then
		echo "downloading Debian's fio, stress-ng and lspci"
		[ -n "$(libraries)" ] || apt-get update >/dev/null
		# shellcheck disable=SC2046
		fetch fio stress-ng pciutils $(libraries)
		mkdir -p "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/mnt"
		for p in fio stress-ng lspci; do add "$x/usr/bin/$p"; done
		made
	fi
	for p in mke2fs e2fsck; do add "$(command -v $p)"; done
	mke2fs -q -F -t ext4 -d "$root" "$out/tools.img.part" 160M
	mv "$out/tools.img.part" "$out/tools.img"
}

net() {
	root=$out/nettools
	if [ ! -e "$root/.made" ]; then
		echo "downloading Debian's iperf3, ethtool and tcpdump"
		[ -n "$(apt-cache show libpcap0.8 2>/dev/null)" ] || apt-get update >/dev/null
		fetch iperf3 libiperf0 libsctp1 libssl3 ethtool libmnl0 tcpdump libpcap0.8 libdbus-1-3 libsystemd0 libcap2 \
			libgcrypt20 libgpg-error0 liblz4-1 libzstd1 liblzma5
		mkdir -p "$root/etc" "$root/tmp"
		echo 'root:x:0:0::/:/bin/sh' >"$root/etc/passwd" # tcpdump asks who root is
		for p in usr/bin/iperf3 sbin/ethtool usr/bin/tcpdump; do add "$x/$p"; done
		made
	fi
	for p in netcheck netaccount; do
		[ "$root/bin/$p" -nt "$here/linux/$p.c" ] || "${CC:-gcc}" -O2 -Wall -Wextra -Werror -static -o "$root/bin/$p" "$here/linux/$p.c"
	done
}

$kind

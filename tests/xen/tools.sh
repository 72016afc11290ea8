#!/bin/sh
# Makes what Linux in a test runs beside busybox, from Debian's packages, into $BUILD/xen: tools.sh. tools/ is a folder with fio,
# stress-ng, mke2fs and e2fsck and the libraries they need, tools.img an ext4 of it; they are run by chroot(1) in either (fs.sh).
# Nothing is installed: the packages they depend on are downloaded by name and unpacked. It is not the guest's root, which each
# test makes for itself (busybox, an init, modules: linux.sh). Made once; root.sh makes the rest.
set -eu
out=$(mkdir -p "${BUILD:-build}/xen" && cd "${BUILD:-build}/xen" && pwd)
PATH=$PATH:/sbin:/usr/sbin
exec 9>"$out/lock-tools"; flock 9
[ -e "$out/tools.img" ] && exit 0
root=$out/tools

# Of all they depend on, programs in them are not wanted (perl, python, adduser), only libraries.
libraries() {
	apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
		fio stress-ng | grep -E '^lib' | grep -vE -- '-perl$|^libperl|^libpython|-common$|^libpam|:' | sort -u
}

fetch() {
	rm -rf "$root" "$out/tools.debs" "$out/tools.x"
	mkdir -p "$out/tools.debs" "$out/tools.x"
	echo "downloading Debian's fio and stress-ng"
	[ -n "$(libraries)" ] || apt-get update >/dev/null
	# shellcheck disable=SC2046
	(cd "$out/tools.debs" && apt-get -qq -o APT::Sandbox::User=root download fio stress-ng $(libraries))
	for deb in "$out"/tools.debs/*.deb; do dpkg -x "$deb" "$out/tools.x"; done
}

libs=$out/tools.x/usr/lib/x86_64-linux-gnu:$out/tools.x/lib/x86_64-linux-gnu:$out/tools.x/usr/lib/x86_64-linux-gnu/ceph
add() { # add PROGRAM: and its libraries
	cp "$1" "$root/bin/"
	LD_LIBRARY_PATH=$libs ldd "$1" >"$out/tools.ldd"
	! grep 'not found' "$out/tools.ldd" || { echo "$1 lacks a library"; exit 1; }
	awk '/=> \//{print $3} /^\t\/lib64/{print $1}' "$out/tools.ldd" | while read -r lib; do cp -L -n "$lib" "$root/lib/"; done
}

if [ ! -e "$root/.made" ]; then
	fetch
	mkdir -p "$root/bin" "$root/lib" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/mnt"
	ln -s lib "$root/lib64"
	for p in fio stress-ng; do add "$out/tools.x/usr/bin/$p"; done
	rm -rf "$out/tools.x" "$out/tools.debs"
	touch "$root/.made"
fi
for p in mke2fs e2fsck; do add "$(command -v $p)"; done
mke2fs -q -F -t ext4 -d "$root" "$out/tools.img.part" 160M
mv "$out/tools.img.part" "$out/tools.img"

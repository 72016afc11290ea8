#!/bin/sh
# Makes $BUILD/xen/tools, a folder with Debian's fio and stress-ng and the libraries they need: tools.sh. A Linux guest of a
# test runs them by chroot(1) in it, or in a disk image made of it.
# Nothing is installed: the packages they depend on are downloaded by name and unpacked. It is not the guest's root, which each
# test makes for itself (busybox, an init, modules: linux.sh). Made once; root.sh makes the rest.
set -eu
out=$(mkdir -p "${BUILD:-build}/xen" && cd "${BUILD:-build}/xen" && pwd)
exec 9>"$out/lock-tools"; flock 9
[ -e "$out/tools/.made" ] && exit 0
rm -rf "$out/tools" "$out/tools.debs" "$out/tools.x"
mkdir -p "$out/tools.debs" "$out/tools.x"

# Of all they depend on, programs in them are not wanted (perl, python, adduser), only libraries.
libraries() {
	apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
		fio stress-ng | grep -E '^lib' | grep -vE -- '-perl$|^libperl|^libpython|-common$|^libpam|:' | sort -u
}
echo "downloading Debian's fio and stress-ng"
[ -n "$(libraries)" ] || apt-get update >/dev/null
# shellcheck disable=SC2046
(cd "$out/tools.debs" && apt-get -qq -o APT::Sandbox::User=root download fio stress-ng $(libraries))
for deb in "$out"/tools.debs/*.deb; do dpkg -x "$deb" "$out/tools.x"; done

root=$out/tools libs=$out/tools.x/usr/lib/x86_64-linux-gnu:$out/tools.x/lib/x86_64-linux-gnu:$out/tools.x/usr/lib/x86_64-linux-gnu/ceph
mkdir -p "$root/bin" "$root/lib" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/mnt"
ln -s lib "$root/lib64"
for p in fio stress-ng; do
	cp "$out/tools.x/usr/bin/$p" "$root/bin/"
	LD_LIBRARY_PATH=$libs ldd "$root/bin/$p" >"$out/tools.ldd"
	! grep 'not found' "$out/tools.ldd" || { echo "$p lacks a library"; exit 1; }
	awk '/=> \//{print $3} /^\t\/lib64/{print $1}' "$out/tools.ldd" | while read -r lib; do cp -L -n "$lib" "$root/lib/"; done
done
rm -rf "$out/tools.x" "$out/tools.debs"
touch "$root/.made"

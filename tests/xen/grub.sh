#!/bin/sh
# Makes $BUILD/xen/grub and grub-pvh, the boot loaders that Debian has for the inside of a PV and of a PVH domain (package
# grub-xen-host): grub.sh. Either is a kernel of Xen's ABI with a block frontend and a console of its own, which looks for
# /boot/grub/grub.cfg on the domain's disks; that for PVH is of 32 bits.
# Nothing is installed: the package is downloaded by name and unpacked. Made once; root.sh makes the rest.
set -eu
out=$(mkdir -p "${BUILD:-build}/xen" && cd "${BUILD:-build}/xen" && pwd)
exec 9>"$out/lock-grub"; flock 9
[ -e "$out/grub" ] && [ -e "$out/grub-pvh" ] && exit 0
rm -rf "$out/grub.x"; mkdir "$out/grub.x"
echo "downloading Debian's grub-xen-host"
fetch() { (cd "$out/grub.x" && apt-get -qq -o APT::Sandbox::User=root download grub-xen-host); }
fetch || { apt-get update >/dev/null; fetch; }
dpkg -x "$out"/grub.x/*.deb "$out/grub.x"
mv "$out/grub.x/usr/lib/grub-xen/grub-x86_64-xen.bin" "$out/grub"
mv "$out/grub.x/usr/lib/grub-xen/grub-i386-xen_pvh.bin" "$out/grub-pvh"
rm -rf "$out/grub.x"

#!/bin/sh
# Makes what the tests on real Xen boot, from Debian's packages, into $BUILD/xen: root.sh.
# xen (the hypervisor as ELF), vmlinux (Debian's kernel, unpacked: unpacking under emulation costs seconds)
# and dom0.cpio (busybox, xl, xenstored, xenconsoled, both backends' modules, dom0/ laid over).
# Nothing is installed; packages are downloaded by name and unpacked. Finished stages are kept.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "${BUILD:-build}/xen" && cd "${BUILD:-build}/xen" && pwd)
exec 9>"$out/lock"; flock 9
xenver=4.17

kernel_package() {
	apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: *//p' | head -n 1
}

fetch() {
	[ -e "$out/.fetched" ] && return
	command -v flock >/dev/null
	rm -rf "$out/debs" "$out/x"; mkdir -p "$out/debs" "$out/x"
	kernel=$(kernel_package)
	[ -n "$kernel" ] || { apt-get update >/dev/null; kernel=$(kernel_package); }
	packages="xen-hypervisor-$xenver-amd64 xen-utils-$xenver xen-utils-common xenstore-utils libxencall1
		libxendevicemodel1 libxenevtchn1 libxenforeignmemory1 libxengnttab1 libxenhypfs1 libxenmisc$xenver
		libxenstore4 libxentoolcore1 libxentoollog1 libyajl2 libtinfo6 libncurses6 kmod busybox-static $kernel"
	echo "real Xen: downloading Debian's packages"
	# shellcheck disable=SC2086
	(cd "$out/debs" && apt-get -qq -o APT::Sandbox::User=root download $packages) || {
		apt-get update >/dev/null
		# shellcheck disable=SC2086
		(cd "$out/debs" && apt-get -qq -o APT::Sandbox::User=root download $packages)
	}
	for deb in "$out"/debs/*.deb; do dpkg -x "$deb" "$out/x"; done
	echo "${kernel#linux-image-}" >"$out/kver"
	touch "$out/.fetched"
}

unpack_kernel() {
	[ -e "$out/vmlinux" ] && return
	zcat "$out/x/boot/xen-$xenver-amd64.gz" >"$out/xen"
	image=$out/x/boot/vmlinuz-$(cat "$out/kver")
	at=$(LC_ALL=C grep -abom1 "$(printf '\3757zXZ')" "$image" | head -n 1 | cut -d: -f1)
	tail -c "+$((at + 1))" "$image" | xz -dcq --single-stream >"$out/vmlinux.part" 2>/dev/null || true
	readelf -h "$out/vmlinux.part" >/dev/null
	mv "$out/vmlinux.part" "$out/vmlinux"
}

# Copies a program and the libraries it needs, the unpacked ones first.
libs=$out/x/usr/lib/x86_64-linux-gnu:$out/x/lib/x86_64-linux-gnu
add_program() {
	cp -L "$1" "$2"
	LD_LIBRARY_PATH=$libs ldd "$1" 2>/dev/null | awk '/=> \//{print $3} /^\t\/lib64/{print $1}' | while read -r lib; do
		cp -L -n "$lib" "$root/usr/lib/x86_64-linux-gnu/"
	done
}

add_modules() {
	base=lib/modules/$(cat "$out/kver")
	dep=$out/x/$base/modules.dep
	depmod=$out/depmod; ln -sf "$(find "$out/x" -path "*bin/kmod" -type f | head -n 1)" "$depmod"
	[ -e "$dep" ] || "$depmod" -b "$out/x" "$(cat "$out/kver")"
	for m in xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs xen-blkback xen-blkfront xen-pciback xen-netback bridge loop nvme virtio_pci virtio_blk crc32c_generic ext4; do
		grep -E "/$(echo "$m" | sed 's/[-_]/[-_]/g')\.ko:" "$dep" | tr -d : | tr ' ' '\n'
	done | sort -u | while read -r module; do
		mkdir -p "$root/$base/$(dirname "$module")"
		cp "$out/x/$base/$module" "$root/$base/$module"
	done
	cp "$out/x/$base"/modules.order "$out/x/$base"/modules.builtin "$root/$base/"
	"$depmod" -b "$root" "$(cat "$out/kver")"
}

make_root() {
	[ -e "$out/dom0.cpio" ] && [ -z "$(find "$here/dom0" "$here/root.sh" "$here/linux/until_said.c" -newer "$out/dom0.cpio")" ] && return
	root=$out/root; rm -rf "$root"
	mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib/x86_64-linux-gnu" "$root/usr/lib/xen-$xenver/bin" \
		"$root/etc/xen/scripts" "$root/dev" "$root/proc" "$root/sys" "$root/run" "$root/tmp" "$root/var/lib/xen" "$root/var/log/xen/console"
	for d in bin sbin lib; do ln -s "usr/$d" "$root/$d"; done
	ln -s usr/lib/x86_64-linux-gnu "$root/lib64"
	ln -s ../run "$root/var/run"
	busybox=$(find "$out/x" -path "*bin/busybox" -type f | head -n 1)
	cp "$busybox" "$root/usr/bin/busybox"
	"$busybox" --list | while read -r applet; do [ -e "$root/usr/bin/$applet" ] || ln -s busybox "$root/usr/bin/$applet"; done
	for p in xl libxl-save-helper xenstored xenconsoled xen-init-dom0; do
		add_program "$out/x/usr/lib/xen-$xenver/bin/$p" "$root/usr/lib/xen-$xenver/bin/"
	done
	for p in "$out"/x/usr/bin/xenstore-*; do add_program "$p" "$root/usr/bin/"; done
	cp -L "$(gcc -print-file-name=libgcc_s.so.1)" "$root/usr/lib/x86_64-linux-gnu/" # xl loads it by name
	"${CC:-gcc}" -O2 -Wall -Wextra -Werror -static -o "$root/usr/bin/until_said" "$here/linux/until_said.c"
	add_modules
	cp -a "$here/dom0/." "$root/"
	(cd "$root" && find . -mindepth 1 | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) >"$out/dom0.cpio.part"
	mv "$out/dom0.cpio.part" "$out/dom0.cpio"
}

fetch
unpack_kernel
make_root

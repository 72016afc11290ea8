#!/bin/sh
# Installs the Debian packages that a target needs and this machine lacks: deps.sh build|run|test|bench|debian.
# Says what it installs. Needs root or sudo only when something is missing.
set -eu
case ${1:-} in
build) need="gcc libc6-dev binutils libxen-dev xz-utils bzip2" ;;
run) need="gcc libc6-dev binutils libxen-dev xz-utils bzip2 qemu-system-x86 seabios e2fsprogs" ;;
debian) need="mmdebstrap debian-archive-keyring e2fsprogs" ;;
test) need="gcc libc6-dev binutils libxen-dev bzip2 qemu-system-x86 seabios e2fsprogs clang-14 libclang-rt-14-dev
	libcmocka-dev libcapstone-dev universal-ctags python3 cpio xz-utils grub-pc-bin grub-efi-amd64-bin grub-common ovmf
	xorriso mtools fdisk iproute2 clang-format zstd lz4 nbdkit qemu-utils iperf3 tcpdump" ;;
bench) need=valgrind ;;
*) echo "usage: deps.sh build|run|test|bench|debian" >&2; exit 2 ;;
esac
missing=
for p in $need; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
echo "amphi: installing from Debian's packages:$missing"
as_root=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || { echo "amphi: missing packages:$missing; run as root: apt-get install$missing" >&2; exit 1; }
	as_root=sudo
fi
log=$(mktemp)
install_all() {
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >"$log" 2>&1
}
install_all || { $as_root apt-get update >/dev/null 2>&1 && install_all; } || {
	tail -n 5 "$log" >&2; echo "amphi: cannot install:$missing" >&2; exit 1; }
rm -f "$log"

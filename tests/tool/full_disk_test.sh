#!/bin/sh
# full_disk_test: the host's file system is full while a guest writes. Why: a scratch image is sparse, so this is how a
# disk really ends; the guest must see an error of that write, not a stop, and nobody else may notice. Expected: the
# writing guest gets EIO, says the device, and ends with its own exit code; the other guest reads its disk rightly.
# timeout: 60
set -u
cd "$(dirname "$0")/../.."
if [ "${1:-}" != inside ]; then
	unshare -m true 2>/dev/null || { echo "no mount namespace can be had here"; exit 77; }
	exec unshare -m "$0" inside
fi
t=$(mktemp -d)
mount -t tmpfs -o size=1m full "$t" || { echo "tmpfs cannot be mounted here"; exit 77; }
trap 'umount "$t"; rmdir "$t"' EXIT
work=$BUILD/full-disk; rm -rf "$work"; mkdir -p "$work"
truncate -s 16M "$t/scratch.img"
head -c 2097152 /dev/urandom >"$work/other.img"
cat >"$work/writer.cfg" <<C
name = "writer"
kernel = "$BUILD/amphi"
memory = 8
cmdline = 'role=guest do="fill xvda 1; halt 0"'
disk = ['vdev=xvda,format=raw,access=rw,target=$t/scratch.img']
C
cat >"$work/reader.cfg" <<C
name = "reader"
kernel = "$BUILD/amphi"
memory = 8
cmdline = 'role=guest do="sleep 300; sha256 xvda; halt 0"'
disk = ['vdev=xvda,format=raw,access=ro,target=$work/other.img']
C
status=0
"$BUILD/amphi-tool" run --timeout 120 "$work/writer.cfg" "$work/reader.cfg" >"$work/log" 2>&1 || status=$?
expect() { grep -qE "$1" "$work/log" || { echo "expected /$1/ in:"; tail -n 40 "$work/log"; exit 1; }; }
expect '^\[writer\] .*fill: EIO'
expect '^\[service\] @domain writer exit 1'
expect "^\[reader\] @sha256 xvda $(sha256sum <"$work/other.img" | cut -d' ' -f1)"
expect '^\[service\] @domain reader exit 0'
[ $status = 1 ] || { echo "exit status $status, not 1"; exit 1; }
echo "a full disk is an error of the write, and of nobody else"

#!/bin/sh
# disks_test: three guests share one read-only disk and have scratch disks of their own, on NVMe and on
# virtio-blk. Why: the split driver end to end, several frontends on one backend, one of them dying.
# Expected: each reads the shared image's SHA-256, none can write to it, each scratch image holds its
# guest's pattern on the host afterwards, and a guest that panics harms nobody.
# timeout: 120
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
head -c 4M /dev/urandom >"$work/shared.img"
cp "$work/shared.img" "$work/before.img"
sum=$(sha256sum <"$work/shared.img" | cut -d' ' -f1)

guest() { # guest NAME DO: reads shared.img, writes NAME.img
	truncate -s 2M "$work/$1.img"
	cat >"$work/$1.cfg" <<-C
	name = "$1"
	kernel = "$BUILD/amphi"
	memory = 8
	cmdline = 'role=guest do="$2"'
	disk = [ "vdev=xvda,format=raw,access=ro,target=$work/shared.img",
		"vdev=xvdb,format=raw,access=rw,target=$work/$1.img" ]
	C
}
expect() {
	grep -qE -- "$1" "$work/log" && return
	echo "expected /$1/ on $bus in:"; tail -n 80 "$work/log"; exit 1
}
guest one 'fill xvdb 1; verify xvdb 1; sha256 xvda; fill xvda 1; halt 0'
guest two 'fill xvdb 2; sha256 xvda; crash'
guest three 'sha256 xvda; fill xvdb 3; verify xvdb 3; halt 3'

for bus in nvme virtio; do
	"$BUILD/amphi-tool" run --timeout 150 --disk-bus $bus "$work/one.cfg" "$work/two.cfg" "$work/three.cfg" \
		>"$work/log" 2>&1 </dev/null
	status=$?
	[ $status = 131 ] || { echo "exit $status, not the panic's 131"; tail -n 80 "$work/log"; exit 1; }
	for name in one two three; do
		expect "^\[$name\] @sha256 xvda $sum"
	done
	expect '^\[one\] fill: EROFS'
	expect '^\[service\] @domain one exit 1'
	expect '^\[service\] @domain three exit 3'
	expect '^\[one\] @verify xvdb ok'
	expect '^\[three\] @verify xvdb ok'
	expect '^\[two\] .*panic: somebody typed crash'
	cmp "$work/shared.img" "$work/before.img" || { echo "the shared disk was written to"; exit 1; }
	for seed in 1:one 2:two 3:three; do
		"$BUILD/amphi-tool" verify-pattern "$work/${seed#*:}.img" "${seed%:*}" || exit 1
		truncate -s 0 "$work/${seed#*:}.img"; truncate -s 2M "$work/${seed#*:}.img"
	done
done
echo "three guests, one disk they share and one each, on NVMe and virtio"

#!/bin/sh
# linux_guest_test: a stock Debian Linux, as a PV guest of real Xen and then of amphi-hv, on one CPU and on four, whose store, console
# and disk are ours. Why: Linux is the measure of our store server, consback and blkback, and of the
# hypervisor's ABI; and our dom0 must need no Linux. Expected, on both: Linux comes up, finds its disk in
# the store and on it the bytes of the image (SHA-256 as the host has it), cannot write it, its
# console arrives line by line, and it powers off.
# Twice the kernel is Debian's packed vmlinuz, once it is unpacked before. timeout: 900
. "$(dirname "$0")/lib.sh"

# Its root: busybox, the block frontend, and an init that says what it sees.
root=$work/root
modules=$xen_dir/root/lib/modules/$(cat "$xen_dir/kver")
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/m"
cp "$xen_dir/root/usr/bin/busybox" "$root/bin/"
find "$modules" -name 'xen-blkfront.ko*' -exec cp {} "$root/m/" \;
cat >"$root/init" <<'R'
#!/bin/busybox sh
export PATH=/bin
busybox mount -t proc proc /proc # before --install, which asks it for its own name
busybox --install -s /bin
mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
insmod /m/xen-blkfront.ko*
for i in $(seq 400); do [ -b /dev/xvda ] && break; sleep 0.1; done
echo "GUEST up: $(uname -r), $(nproc) vCPUs, $(cat /sys/hypervisor/type), $(ls /sys/bus/xen/devices | tr '\n' ' ')"
echo "GUEST sha256 $(sha256sum </dev/xvda | cut -d' ' -f1)"
dd if=/dev/xvda of=/dev/xvda bs=512 count=1 2>/dev/null && echo "GUEST wrote a read-only disk"
poweroff -f
R
chmod +x "$root/init"

mkdir -p "$work/ar/domains" "$work/ar/files"
cp "$xen_dir/vmlinux" "$work/ar/files/0"
cp "$xen_dir/x/boot/vmlinuz-$(cat "$xen_dir/kver")" "$work/ar/files/2"
(cd "$root" && find . -mindepth 1 | cpio --quiet -o -H newc -R 0:0) >"$work/ar/files/1"
cat >"$work/ar/manifest" <<'R'
domain linux domains/linux.cfg
file /vmlinux files/0
file /initrd files/1
file /vmlinuz files/2
disk /a.img serial=amphi0
R
pack() { # pack VCPUS KERNEL MEMORY
	cat >"$work/ar/domains/linux.cfg" <<-R
	name="linux"
	kernel="$2"
	ramdisk="/initrd"
	memory=$3
	vcpus=$1
	cmdline="console=hvc0 loglevel=4 tsc=reliable"
	disk=['/a.img,raw,xvda,ro']
	R
	(cd "$work/ar" && find . -type f | sed 's,^\./,,' | cpio --quiet -o -H newc -L) >"$work/archive"
}
head -c 6M /dev/urandom >"$work/a.img"

arguments="$BUILD/amphi dma_panic role=service,$work/archive"
disk="-drive file=$work/a.img,if=none,id=a,format=raw -device nvme,serial=amphi0,drive=a"
sha256=$(sha256sum <"$work/a.img" | cut -d' ' -f1)

on_xen() { # shellcheck disable=SC2086
	xen_qemu 100 1200 400 "$arguments" $disk
}

on_amphi_hv() { # shellcheck disable=SC2086
	timeout -k 5 600 qemu-system-x86_64 -M q35 -accel tcg,thread=single -smp "${cpus:-1}" -cpu max -m 1200 -nodefaults -display none -no-reboot \
		-serial stdio -monitor none -kernel "$BUILD/amphi-hv" -append dom0_mem=400M -initrd "$arguments" $disk \
		</dev/null 2>&1 | tr -d '\r'
}

on_four_cpus() {
	cpus=4
	on_amphi_hv
}

# The packed kernel is unpacked inside the domain's own memory: 96 MiB hold it with 63 MiB unpacked.
while read -r how vcpus kernel memory; do
	pack "$vcpus" "$kernel" "$memory"
	$how >"$work/log"
	expect "$work/log" "^\\[linux\\] GUEST up: .* $vcpus vCPUs, xen, vbd-51712"
	expect "$work/log" "^\\[linux\\] GUEST sha256 $sha256"
	expect "$work/log" '^@domain linux exit 0'
	expect "$work/log" '^@exit 0'
	! grep -q 'wrote a read-only disk' "$work/log" || { echo "$how: a read-only disk was written"; exit 1; }
done <<R
on_xen 2 /vmlinux 192
on_amphi_hv 2 /vmlinuz 96
on_four_cpus 4 /vmlinuz 192
R
echo "stock Linux on real Xen and on amphi-hv (4 vCPUs on 4 CPUs): its store, console and disk served by our dom0"

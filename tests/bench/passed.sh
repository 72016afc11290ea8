# passed.sh: what a read of 4 KiB costs a Linux that owns an NVMe, 32 in flight, at random: natively without an IOMMU and with VT-d, lazy and strict; as the first domain of real Xen
# (swiotlb-xen); as PV guest of real Xen to which Linux's xen-pciback lends the NVMe; and as the same guest of amphi-hv, which has it by our pciback. The same vmlinux, the same
# program (linux/load.c), the same machine with a disk that has nothing but zeros; instructions of all domains and the hypervisor, idle time not among them (count_plugin.c).
# Linux 6.1 in a guest of real Xen cannot enable MSI-X twice (docs/pci.md), as its NVMe driver does, and works by INTx there: that is in the figure, as it is for its users.
# Taken in by tests/bench.sh for `make bench-xen`; lib.sh has the words.
here=tests/xen xen_dir=$BUILD/xen
. tests/xen/linux.sh
"${CC:-gcc}" -O2 -shared -fPIC -o "$work/count.so" tests/bench/count_plugin.c
"${CC:-gcc}" -O2 -Wall -Wextra -Werror -static -o "$work/load" tests/bench/linux/load.c
passed_count=10000
passed_load="load /dev/nvme0n1 random 4096 32 $passed_count"
linux_programs=$work/load linux_more="xen-pcifront nvme"
linux_initrd "$work/passed.initrd" <<R
for i in \$(seq 300); do [ -b /dev/nvme0n1 ] && break; sleep 0.1; done
$passed_load && echo "LOAD done"
poweroff -f
R
passed_words="nodisk quiet tsc=reliable" passed_guest="iommu=soft swiotlb=1024"
passed_run() { # passed_run NAME MIB QEMU...
	name=$1 mib=$2; shift 2
	(icount=shift=0,sleep=on; in_qemu 600 "$work/$name" -machine kernel-irqchip=split -m "$mib" -device intel-iommu,intremap=on,aw-bits=48 \
		-drive if=none,id=d,driver=null-co,read-zeroes=on,size=1G -device nvme,drive=d,serial=x,addr=4 -plugin "$work/count.so" "$@")
}
passed_cost() { # passed_cost NAME FIGURE-NAME WHICH: of the first or second pair of marks, instructions and hypercalls of a read
	grep -q 'LOAD done' "$work/$1" || { tail -n 40 "$work/$1"; echo "bench: an NVMe of Linux's ($1)"; exit 1; }
	sed -n 's/^mark=1\([67]\) at=\([0-9]*\) hypercalls=\([0-9]*\)$/\1 \2 \3/p' "$work/$1.err" | awk -v n=$passed_count -v which="$3" '
		$1 == 6 { at = $2; calls = $3 } $1 == 7 && ++pair == which { printf "%d %.3f\n", ($2 - at) / n, ($3 - calls) / n }' >"$work/$2.cost"
}
passed_native() { # passed_native NAME WORDS
	passed_run "$1" 400 -kernel "$xen_dir/vmlinux" -append "console=ttyS0 $passed_words $2" -initrd "$work/passed.initrd"
	passed_cost "$1" "$1" 1
}
passed_native passed.off intel_iommu=off
passed_native passed.lazy "intel_iommu=on iommu.strict=0"
passed_native passed.strict "intel_iommu=on iommu.strict=1"

# Ours: no disk but the one that is lent.
ar_new
ar_file /vmlinux "$xen_dir/vmlinux"
ar_file /initrd "$work/passed.initrd"
linux_domain g "$passed_words $passed_guest" 'memory = 160' 'passthrough = "enabled"' "pci = ['00:04.0']"
ar_pack "$work/archive"
passed_run passed.amphi 640 -kernel "$BUILD/amphi-hv" -append dom0_mem=300M -initrd "$BUILD/amphi role=service,$work/archive"
passed_cost passed.amphi passed.amphi 1

# Real Xen: the first domain itself, then its guest.
mkdir -p "$work/passed.dom0/test"
cp "$xen_dir/vmlinux" "$work/load" "$work/passed.initrd" "$work/passed.dom0/test/"
cat >"$work/passed.dom0/test/g.cfg" <<R
name="g"
type="pv"
kernel="/test/vmlinux"
ramdisk="/test/passed.initrd"
memory=160
cmdline="console=hvc0 loglevel=5 $passed_words $passed_guest"
tsc_mode="native"
pci=["00:04.0"]
on_poweroff="destroy"
on_crash="destroy"
R
cat >"$work/passed.dom0/test/run.sh" <<R
modprobe nvme
for i in \$(seq 300); do [ -b /dev/nvme0n1 ] && break; sleep 0.1; done
/test/$passed_load || exit 1
modprobe xen-pciback
xl pci-assignable-add 00:04.0 && xl create /test/g.cfg || exit 1
while xl domid g >/dev/null 2>&1; do sleep 1; done
cat /var/log/xen/console/guest-g.log
R
(cd "$work/passed.dom0" && find . -mindepth 1 | cpio --quiet -o -H newc -R 0:0) >"$work/test.cpio"
cat "$xen_dir/dom0.cpio" "$work/test.cpio" >"$work/dom0.initrd"
passed_run passed.xen 1100 -kernel "$xen_dir/xen" -append "console=com1 com1=115200 spec-ctrl=eager-fpu dom0_mem=700M,max:700M" \
	-initrd "$xen_dir/vmlinux console=hvc0 quiet panic=1,$work/dom0.initrd"
passed_cost passed.xen passed.first 1
passed_cost passed.xen passed.guest 2

echo "4 KiB read at random from an NVMe that Linux owns, 32 in flight"
read -r passed_xen _ <"$work/passed.guest.cost"
for how in off lazy strict first guest amphi; do
	read -r passed_at passed_calls <"$work/passed.$how.cost"
	case $how in
	off) figure "  natively, without an IOMMU" "$passed_at" ;;
	lazy) figure "  natively, VT-d, lazy" "$passed_at" ;;
	strict) figure "  natively, VT-d, strict" "$passed_at" ;;
	first) figure "  first domain of real Xen, swiotlb-xen" "$passed_at" ;;
	guest) figure "  PV guest of real Xen, lent by Linux's xen-pciback" "$passed_at" ;;
	amphi) figure "  the same guest of amphi-hv, lent by our pciback" "$passed_at" "$passed_xen" ;;
	esac
	case $how in off | lazy | strict) ;; *) figure "    hypercalls" "$passed_calls" ;; esac
done

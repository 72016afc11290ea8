# vf.sh: what a read of 4 KiB costs, 32 in flight, at random, from an NVMe's virtual function: natively without an IOMMU, and in a PV guest of amphi-hv that owns the
# function by pciback, behind VT-d: instructions of the guest, the control domain and the hypervisor together, idle time not among them (count_plugin.c). The guest reaches memory as
# a Linux guest does (`passthrough="enabled"`: its own, at machine addresses), or by a space that it fills by hypercall 43, a page mapped and unmapped for each request.
# Taken in by tests/bench.sh; lib.sh has the words.
. tests/lib/archive.sh
"${CC:-gcc}" -O2 -shared -fPIC -o "$work/count.so" tests/bench/count_plugin.c
vf_count=4000
vf_bench="bench random DISK 32 400; bench random DISK 32 $vf_count; halt"
vf_run() { # vf_run NAME SAYS QEMU...: makes $work/NAME.cost, of a read
	name=$1 says=$2; shift 2
	truncate -s 16M "$work/vf.disk"
	(icount=shift=0,sleep=on; in_qemu 300 "$work/$name" -m 256 -drive "if=none,id=d,format=raw,file=$work/vf.disk" \
		-device pcie-root-port,id=rp,slot=1,addr=4 -device nvme-subsys,id=s -device nvme,id=c,serial=sr,subsys=s,bus=rp,sriov_max_vfs=2,sriov_vq_flexible=8,sriov_vi_flexible=4,max_ioqpairs=10,msix_qsize=9 \
		-device nvme-ns,drive=d,bus=c,nsid=1,shared=on "$@" -plugin "$work/count.so")
	sed -n 's/^mark=1\([67]\) at=\([0-9]*\) hypercalls=\([0-9]*\)$/\1 \2 \3/p' "$work/$name.err" | awk -v n=$vf_count '
		$1 == 6 { at = $2; calls = $3 } $1 == 7 { last = $2 - at; c = $3 - calls } END { printf "%d %.3f\n", last / n, c / n }' >"$work/$name.cost"
	grep -q "$says" "$work/$name" && grep -q '@bench random' "$work/$name" || { tail -n 40 "$work/$name"; echo "bench: the virtual function did not work ($name)"; exit 1; }
}
vf_guest() { # vf_guest NAME SAYS DOMAIN-LINE GUEST-WORDS
	ar_new
	ar_file /amphi "$BUILD/amphi"
	ar_domain g <<-C
	name = "g"
	kernel = "/amphi"
	memory = 24
	cmdline = 'role=guest $4 do="$(echo "$vf_bench" | sed s/DISK/nvme0n1/g)"'
	pci = ['01:00.1']
	$3
	C
	ar_pack "$work/archive"
	vf_run "$1" "$2" -machine kernel-irqchip=split -device intel-iommu -kernel "$BUILD/amphi-hv" -append dom0_mem=64M \
		-initrd "$BUILD/amphi role=service vfs=1,$work/archive"
}
vf_run vf.native 'dma: 01:00.1 direct' -kernel "$BUILD/amphi" -append "vfs=1 do=\"$(echo "$vf_bench" | sed s/DISK/nvme1n1/g)\""
vf_guest vf.own '\[g\] .*dma: .* direct' 'passthrough = "enabled"' iommu=off
vf_guest vf.space '\[g\] .*dma: .* io-lazy' '' iommu=lazy
read -r vf_native _ <"$work/vf.native.cost"
echo "4 KiB read at random from a virtual function of an NVMe, 32 in flight"
figure "  natively, without an IOMMU" "$vf_native"
for how in own space; do
	read -r vf_cost vf_calls <"$work/vf.$how.cost"
	case $how in
	own) figure "  in a PV guest, its memory at machine addresses (per cent)" $((100 * vf_cost / vf_native)) 110 ;;
	space) figure "  in a PV guest, by a space of its own, each request mapped (per cent)" $((100 * vf_cost / vf_native)) ;;
	esac
	figure "    instructions" "$vf_cost"
	figure "    hypercalls" "$vf_calls"
done

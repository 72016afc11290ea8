# zerocopy.sh: what a read of 64 KiB costs by way of a domain that serves its NVMe (here the first), which reaches the guest's own pages through an IO space (nothing is copied), and
# by way of one whose device cannot reach them, so that each byte is copied through a bounce buffer: instructions of the guest, the storage domain and the
# hypervisor together, idle time not among them (count_plugin.c). Figures of the second contain copies of 16 pages, 512 instructions each
# (docs/decisions/0005); the first domain is so large that the guest's memory lies above what that device is told to reach. Taken in by tests/bench.sh; lib.sh has the words.
. tests/lib/archive.sh
"${CC:-gcc}" -O2 -shared -fPIC -o "$work/count.so" tests/bench/count_plugin.c
zero_count=400
zero_run() { # zero_run NAME LAYER SERVICE-WORDS: the NVMe goes by that layer; makes $work/NAME.cost, of a read
	ar_new
	ar_file /amphi "$BUILD/amphi"
	ar_domain g <<-C
	name = "g"
	kernel = "/amphi"
	memory = 24
	cmdline = 'role=guest do="bench read xvda 4 100 64; bench read xvda 4 $zero_count 64; stats; halt"'
	disk = ['nvme0n1,raw,xvda,r']
	C
	ar_pack "$work/archive"
	truncate -s 4M "$work/zero.disk"
	(icount=shift=0,sleep=on; in_qemu 300 "$work/$1" -m 640 -device intel-iommu -drive "if=none,id=d,format=raw,file=$work/zero.disk" \
		-device nvme,drive=d,serial=x,addr=2 -kernel "$BUILD/amphi-hv" -append "dom0_mem=320M" \
		-initrd "$BUILD/amphi role=service $3,$work/archive" -plugin "$work/count.so")
	sed -n 's/^mark=1\([67]\) at=\([0-9]*\) hypercalls=\([0-9]*\)$/\1 \2 \3/p' "$work/$1.err" | awk -v n=$zero_count '
		$1 == 6 { at = $2; calls = $3 } $1 == 7 { last = $2 - at; c = $3 - calls } END { printf "%d %.2f\n", last / n, c / n }' >"$work/$1.cost"
	grep -q '^\[g\] @exit 0' "$work/$1" && grep -q "dma: 00:02.0 $2" "$work/$1" || { tail -n 40 "$work/$1"; echo "bench: the guest did not end well ($1)"; exit 1; }
}
zero_run zero io-lazy iommu=lazy
zero_run copied swiotlb "iommu=off dma_mask=28"
read -r zero_cost zero_calls <"$work/zero.cost"
read -r copied_cost copied_calls <"$work/copied.cost"
echo "64 KiB read from an NVMe of another domain, 4 in flight, instructions of all domains and the hypervisor"
figure "  into the guest's pages through an IO space" "$zero_cost"
figure "    hypercalls for each" "$zero_calls"
figure "  copied by a bounce buffer" "$copied_cost"
figure "    hypercalls for each" "$copied_calls"
figure "  fewer, in per cent (30 is asked for): what is left" $((100 * zero_cost / copied_cost)) 70

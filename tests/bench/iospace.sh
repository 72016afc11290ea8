# iospace.sh: what a page costs that is mapped in an IO space and unmapped again: in a domain of amphi-hv by hypercall 43, and in Linux on a machine of its
# own behind the same unit, strict. Ours: tests/guest/pv_iospace_price.c. Debian's Linux has no program for it (CONFIG_DMA_MAP_BENCHMARK is off), so its figure is
# what a read of 4 KiB from an NVMe costs more with intel_iommu=on iommu.strict=1 than with intel_iommu=off: one page mapped and unmapped; of two measurements
# of each those that lie closest together. Counted by count_plugin.c, without the time in which the processor idles. Taken in by tests/bench.sh.
tests/guest/build.sh tests/guest/pv_iospace_price.c "$work/price"
"${CC:-gcc}" -O2 -shared -fPIC -o "$work/count.so" tests/bench/count_plugin.c
split='-machine kernel-irqchip=split'
for unit in intel amd; do
	bits=; [ $unit = amd ] || bits=,aw-bits=48
	in_qemu 60 "$work/io.$unit" $split -m 128 -kernel "$BUILD/amphi-hv" -append dom0_mem=8M -initrd "$work/price" \
		-device $unit-iommu$bits -device edu,addr=5
	grep -q '^pv_iospace_price: done' "$work/io.$unit" || { tail -n 20 "$work/io.$unit"; echo "bench: IO spaces ($unit)"; exit 1; }
done

# Linux: an initial ramdisk of modules and one program that reads.
"${CC:-gcc}" -O2 -Wall -Wextra -Werror -static -o "$work/reads" tests/bench/linux/reads.c
kver=$(cat "$BUILD/xen/kver") modules='crypto/crct10dif_common lib/crc64 lib/crc-t10dif lib/crc64-rocksoft block/t10-pi drivers/nvme/host/nvme-core drivers/nvme/host/nvme'
rm -rf "$work/rd" && mkdir -p "$work/rd/dev" && mv "$work/reads" "$work/rd/init"
words=
for m in $modules; do
	cp "$BUILD/xen/x/lib/modules/$kver/kernel/$m.ko" "$work/rd/"
	words="$words /${m##*/}.ko"
done
(cd "$work/rd" && find . -mindepth 1 | cpio --quiet -o -H newc -R 0:0) >"$work/rd.cpio"
io_linux() { # io_linux LOG WORDS: of each of both measurements "FIRST SECOND", instructions a read
	in_qemu 200 "$work/$1" $split -m 512 -kernel "$BUILD/xen/x/boot/vmlinuz-$kver" -initrd "$work/rd.cpio" \
		-append "console=ttyS0 quiet panic=1 tsc=reliable $2 --$words" -device intel-iommu,aw-bits=48 \
		-drive if=none,id=d,driver=null-co,read-zeroes=on,size=1G -device nvme,drive=d,serial=x -plugin "$work/count.so"
	grep -q '^reads: done' "$work/$1" || { tail -n 20 "$work/$1"; echo "bench: Linux with $2"; exit 1; }
	sed -n 's/^mark=\([0-9]*\) at=\([0-9]*\).*/\1 \2/p' "$work/$1.err" |
		awk '{ at[$1] = $2 } END { printf "%d %d\n", (at[2] - at[1]) / 2000, (at[4] - at[3]) / 2000 }'
}
strict=$(io_linux io.strict 'intel_iommu=on iommu.strict=1')
off=$(io_linux io.off 'intel_iommu=off')
linux=$(echo "$strict $off" | awk '{ print ($1 < $2 ? $1 : $2) - ($3 > $4 ? $3 : $4) }')

price_of() { sed -n "s/^@iospace $2 //p" "$work/io.$1"; }
figure "a page mapped and unmapped in an IO space, of 32, Linux strict" "$linux"
figure "  amphi-hv, VT-d, flushed in the call" "$(price_of intel strict)" "$linux"
figure "  the same, AMD-Vi" "$(price_of amd strict)" "$linux"
figure "  one flush for eight calls (VT-d)" "$(price_of intel deferred)" "$linux"
figure "  one page a call" "$(price_of intel single)"
figure "  32 pages in one operation, each" "$(price_of intel block)"

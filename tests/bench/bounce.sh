# bounce.sh: what bounce buffers share between processors: nothing in the common case. Taken in by tests/bench.sh.
# A device that reaches 4 GiB of 6, read twice: the pool grows by the first time; after that no map leaves its processor's area. The kernel's
# drivers are one worker, so four processors at once are played by the host test, over the same code.
echo "bounce buffers"
truncate -s 4M "$work/bounce"
in_qemu 120 "$work/bounce.log" -m 6144 -smp 4 -kernel "$BUILD/amphi" -append 'dma_mask=32 do="sha256 nvme0n1; dma; sha256 nvme0n1; dma; halt"' \
	-device isa-debug-exit,iobase=0xf4 -drive if=none,id=a,format=raw,file="$work/bounce" -device nvme,drive=a,serial=x
shared=$(sed -n 's/^swiotlb: .* \([0-9]*\) shared.*/\1/p' "$work/bounce.log" | awk 'NR == 1 { first = $1 } NR == 2 { print $1 - first }')
maps=$(sed -n 's/^swiotlb: .* \([0-9]*\) maps.*/\1/p' "$work/bounce.log" | awk 'NR == 1 { first = $1 } NR == 2 { print $1 - first }')
figure "bounce: 4 CPUs, natively: of ${maps:-no} maps, beyond the CPU's own area" "$shared" 0
make -s BUILD="$BUILD" "$BUILD/tests/swiotlb_test" >/dev/null
"$BUILD/tests/swiotlb_test" >"$work/bounce.log" 2>&1 || failed=1
figure "bounce: 4 CPUs at once: locks taken" "$(sed -n 's/^bounce: .* maps, no lock, .*/0/p' "$work/bounce.log")" 0

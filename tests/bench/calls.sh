# calls.sh: what the hypervisor's calls cost, on amphi-hv and on real Xen, by the same guest (tests/guest/pv_price.c), in
# instructions. Taken in by tests/bench.sh; lib.sh has the words.
tests/guest/build.sh tests/guest/pv_price.c "$work/price"
in_qemu 60 "$work/price.ours" -m 128 -kernel "$BUILD/amphi-hv" -append dom0_mem=32M -initrd "$work/price"
in_qemu 60 "$work/price.xen" -m 256 -kernel "$BUILD/xen/xen" \
	-append "console=com1 com1=115200 spec-ctrl=eager-fpu dom0_mem=32M,max:32M" -initrd "$work/price"
for which in ours xen; do
	grep -q '^pv_price: done' "$work/price.$which" || { tail -n 20 "$work/price.$which"; echo "bench: pv_price did not end well ($which)"; exit 1; }
done
call() { sed -n "s/^@call $2 //p" "$work/price.$1" | tr -d '\r'; }
echo "calls, instructions from the guest's kernel and back (real Xen's: the bar)"
for what in null event_send mmu_update update_va_mapping grant_map_unmap grant_copy_4k domain_there_and_back; do
	figure "  $what" "$(call ours $what)" "$(call xen $what)"
done

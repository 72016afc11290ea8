# price.sh: what pvops cost natively, and what the same steps are on every platform. Taken in by tests/bench.sh.
# The shell's `price` (kernel/commands_price.c) runs in a kernel without pvops (tests/plain), in ours natively, and in the
# same binary as first domain of real Xen, PVH and PV, and of amphi-hv; one processor and one boot module for all.
(cd "$BUILD/user" && printf '%s\n' self_test price | cpio --quiet -o -H newc) >"$work/programs"
# Calls on another CPU come from a second start, with two: the rest would count what the second executes meanwhile.
price_native() { # price_native LOG COMMANDS KERNEL [QEMU...]
	log=$1 asked=$2 kernel=$3; shift 3
	in_qemu 60 "$work/$log" -m 32 -device isa-debug-exit,iobase=0xf4 -kernel "$kernel" -append "do=\"$asked; halt 0\"" \
		-initrd "$work/programs" "$@"
}
price_xen() { # price_xen LOG COMMANDS XEN-WORDS [QEMU...]
	log=$1 asked=$2 words=$3; shift 3
	in_qemu 150 "$work/$log" -m 256 -kernel "$BUILD/xen/xen" \
		-append "console=com1 com1=115200 spec-ctrl=eager-fpu dom0_mem=64M,max:64M $words" \
		-initrd "$BUILD/amphi role=native do=\"$asked; halt 0\",$work/programs" "$@"
}
price_hv() { # price_hv LOG COMMANDS CPUS
	log=$1 asked=$2 cpus=$3
	in_qemu 60 "$work/$log" -m 64 -smp "$cpus" -kernel "$BUILD/amphi-hv" -append "dom0_mem=32M dom0_max_vcpus=$cpus" \
		-initrd "$BUILD/amphi role=native do=\"$asked; halt 0\",$work/programs"
}
iommu='-machine kernel-irqchip=off -device intel-iommu,intremap=on,aw-bits=48'
all='price; stats; pvops verify'
{
	price_xen pv "$all" ''
	price_xen pv.2 'price ipi' '' -smp 2
	price_hv hv "$all" 1
	price_hv hv.2 'price ipi' 2
} &
price_native plain "$all" "$BUILD/amphi-plain"
price_native plain.2 'price ipi' "$BUILD/amphi-plain" -smp 2
price_native native "$all" "$BUILD/amphi"
price_native native.2 'price ipi' "$BUILD/amphi" -smp 2
price_xen pvh "$all" dom0=pvh $iommu
price_xen pvh.2 'price ipi' dom0=pvh -smp 2 $iommu
wait
for log in plain native pvh pv hv; do
	grep '^@price ipi ' "$work/$log.2" >>"$work/$log" || true
	grep -q '^@exit 0' "$work/$log" || { echo "bench: the price list did not end well ($log):"; tail -n 20 "$work/$log"; exit 1; }
done

price() { # price LOG WHAT KEY: for one step
	awk -v what="$2" -v key="$3=" '$1 == "@price" && $2 == what {
		for (i = 3; i <= NF; i++) { split($i, f, "="); v[f[1] "="] = f[2] }
		printf "%.1f\n", v[key] / v["n="]; found = 1; exit }
		END { if (!found) print "-" }' "$work/$1"
}
cell() { # cell LOG WHAT: instructions, and hypercalls when there are any
	calls=$(price "$1" "$2" hypercalls)
	[ "$calls" = 0.0 ] || [ "$calls" = - ] && price "$1" "$2" ticks || echo "$(price "$1" "$2" ticks) ($calls)"
}
price_row() { # price_row WORDS WHAT
	printf '  %-38s %10s %10s %8s %14s %16s %16s\n' "$1" "$(price plain "$2" ticks)" "$(price native "$2" ticks)" \
		"$(awk -v a="$(price plain "$2" ticks)" -v b="$(price native "$2" ticks)" 'BEGIN { printf "%+.1f", b - a }')" \
		"$(cell pvh "$2")" "$(cell pv "$2")" "$(cell hv "$2")"
}
printf '%-40s %10s %10s %8s %14s %16s %16s\n' "price in instructions (hypercalls)" "no pvops" native extra "Xen PVH" "Xen PV" amphi-hv
price_row "interrupts off, and as they were" irq
price_row "spinlock taken and given back" spinlock
price_row "a page mapped, of 256" map256
price_row "a page unmapped, of 256" unmap256
price_row "a page mapped, alone" map1
price_row "a page unmapped, alone" unmap1
price_row "a program's page, there and back, of 256" pages
price_row "a switch of kernel threads" thread
price_row "a switch of programs" program
price_row "a call on another CPU, idle" ipi
price_row "a system call" call
price_row "a page fault to a program's handler" fault

per32() { # per32 LOG WHAT: hypercalls for 32 pages
	awk -v v="$(sed -n "s/^@price $2 n=\([0-9]*\) .*hypercalls=\([0-9]*\).*/\2 \1/p" "$work/$1")" \
		'BEGIN { split(v, f, " "); printf "%.1f\n", f[1] * 32 / f[2] }'
}
entries() { # entries LOG: of the hypervisor for one system call: the instruction itself and its hypercalls
	awk -v c="$(price "$1" call hypercalls)" 'BEGIN { printf "%.1f\n", 1 + c }'
}
echo "held to bars"
figure "  spinlock natively, instructions (without pvops: the bar)" "$(price native spinlock ticks)" "$(price plain spinlock ticks)"
for what in map256 unmap256 pages; do
	figure "  $what natively, instructions for a page (without pvops: the bar)" "$(price native $what ticks)" "$(price plain $what ticks)"
done
figure "  256 pages mapped on Xen PV: hypercalls for 32" "$(per32 pv map256)" 2
figure "  256 pages of a program, mapped and unmapped on Xen PV: for 32" "$(per32 pv pages)" 4
figure "  system call on Xen PV: entries of the hypervisor" "$(entries pv)" 2
figure "  system call on amphi-hv: entries of the hypervisor" "$(entries hv)" 2
for log in native pvh pv hv; do
	figure "  indirect pv calls left, $log" "$(get "$work/$log" '^@pvops' indirect)" 0
done

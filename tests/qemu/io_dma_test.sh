#!/bin/sh
# io_dma_test: on amphi-hv behind VT-d and behind AMD-Vi the first domain puts its NVMe into an IO space and serves a guest from it: the device's
# DMA goes straight into pages that the guest granted, by their grants. Why: a page that is missing in the space, late, or out of it too early shows only where a real unit
# checks it. Expected: all bytes arrive, here and in the guest, strict and lazy; no fault; as many pages unmapped as mapped but for what is shared for good; granted pages are
# mapped once and not for each request; a device that is cut off reaches nothing, and is named where the unit tells.
# timeout: 120
set -u
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap '{ [ ! -f "$work/pid" ] || kill "$(cat "$work/pid")"; rm -rf "$work"; } 2>/dev/null' EXIT
. tests/lib/archive.sh

head -c 4194304 /dev/urandom >"$work/bytes"
digest=$(sha256sum <"$work/bytes" | cut -d' ' -f1)
boot() { # boot UNIT WORDS [KEYS]: the service domain's words in $work/log; what comes out of KEYS is typed
	cp "$work/bytes" "$work/disk"
	timeout -k 5 90 qemu-system-x86_64 -M q35,kernel-irqchip=split -accel tcg -cpu max -m 192 -nodefaults -display none -no-reboot \
		-pidfile "$work/pid" -serial stdio -monitor none -device "$1" -drive "if=none,id=d,format=raw,file=$work/disk" -device nvme,drive=d,serial=x,addr=4 \
		-kernel "$BUILD/amphi-hv" -append dom0_mem=64M -initrd "$BUILD/amphi role=service dma_debug $2,$work/archive" <"${3:-/dev/null}" 2>&1 |
		stdbuf -oL tr -d '\r' >"$work/log"
}
expect() {
	grep -qE -- "$1" "$work/log" && return
	echo "expected /$1/ in:"; tail -n 60 "$work/log" | cut -c1-300; exit 1
}
strip -g -o "$work/amphi" "$BUILD/amphi"
guest() { # guest WORDS: what it does besides
	ar_new
	ar_file /amphi "$work/amphi"
	ar_domain g <<C
name = "g"
kernel = "/amphi"
memory = 24
cmdline = 'role=guest do="sha256 xvda; fill xvda 7; verify xvda 7; $1; stats; halt 5"'
disk = ['nvme0n1,raw,xvda,w']
C
	ar_pack "$work/archive"
}
served() { # served UNIT POLICY
	guest 'bench read xvda 4 64 128; bench read xvda 4 256 128'
	boot "$1" "iommu=$2 do=\"sha256 nvme0n1\""
	expect "iospace: devices of ours have spaces of their own, $2"
	expect "dma: 00:04.0 io-$2"
	expect "^\[g\] @sha256 xvda $digest"
	expect '^\[g\] @verify xvda ok'
	expect '^\[g\] @exit 5'
	! grep -E 'iommu: .* may not|dma_debug|has failed|not unmapped|error=[1-9]' "$work/log" || { echo "$1, $2: this should not be said"; exit 1; }
	line=$(grep '^@stat dma=00:04.0' "$work/log" | tail -n 1)
	echo "$line" | sed 's/[a-z]*=//g' | awk '{ exit !($4 - $5 < 2000 && $4 >= $5 && $4 > 200 && $4 < 4000 && $8 == 0) }' ||
		{ echo "maps and unmaps: $line"; exit 1; }
	echo "$1, $2: $line"
}
served intel-iommu strict
served intel-iommu,caching-mode=on,aw-bits=48 lazy
served amd-iommu lazy

# Not trusted, and with 24 bits: low addresses, pieces of pages copied, granted pages mapped for a request each. Then cut off: nothing comes of what it tries
# from then on. QEMU 7.2's AMD-Vi tells of no event.
guest 'bench random xvda 4 64 1'
mkfifo "$work/keys"; exec 3<>"$work/keys"
: >"$work/log"
boot intel-iommu 'iommu=lazy dma_untrusted dma_mask=24 stay do="sha256 nvme0n1"' "$work/keys" &
for i in $(seq 400); do
	! grep -q '^@domain g exit' "$work/log" || break
	sleep 0.2
done
for word in dma 'dma cut 00:19.0' 'dma cut 00:04.0' 'sha256 nvme0n1' 'halt 3'; do echo "$word" >&3; done
wait
expect 'dma: 00:04.0 io-strict, whole pages'
expect "^@sha256 nvme0n1 $digest"
expect "^\[g\] @sha256 xvda $digest"
expect '^\[g\] @verify xvda ok'
expect '^\[g\] @exit 5'
expect '^swiotlb: 0 of [0-9]+ KiB in use, .* [1-9][0-9]+ maps, [0-9]+ shared, 0 refused'
! grep -E 'dma_debug|not unmapped|is unmapped' "$work/log" || { echo "without trust: this should not be said"; exit 1; }
expect '^dma: ENODEV'
expect '00:04.0 .*(read|write)'
expect '^sha256: EIO'
expect '^@exit 3'
echo "without trust: $(grep '^swiotlb: ' "$work/log"); cut off: $(grep -cE 'iommu: .*00:04.0' "$work/log") faults told"

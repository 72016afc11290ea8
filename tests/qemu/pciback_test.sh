#!/bin/sh
# pciback_test: a guest of ours on amphi-hv owns an NVMe and an e1000e by both halves of xen/io/pciif.h, behind VT-d and behind AMD-Vi, and the NVMe
# is taken from it and given back again and again. Why: host tests have both halves, but no device whose messages must come as the guest's own
# interrupts, and no domain whose memory they must reach. Expected: the bytes of the image, those written come back, an address by DHCP; after each return
# the disk has its partition again, which is verified anew; from a guest that does not listen it is taken by force, and given to it again, which it finds
# when it listens; functions are numbered from 0, or as in the machine where the file says so; in the end all are free. Each of a USB controller's sixteen
# plain messages is heard as often as it was raised, and so is the line of another. Behind root ports:
# errors that QEMU makes in functions and ports (AER) are told to the guest, which goes on with the disk as it was; what is pulled out while the
# guest writes is an error there and is taken from it, and the guest goes on with what it has. Registers where memory or others' are: refused by name. And: functions that no IOMMU
# keeps apart (of one device, behind a switch without access control, behind a bridge to conventional PCI) go to a guest together or not at all, and both of the last work there.
# timeout: 120
set -u
BUILD=${BUILD:-build}
work=$(mktemp -d)
pid=
trap 'kill $pid 2>/dev/null; wait; rm -rf "$work"' EXIT
. tests/lib/archive.sh
fail() { echo "$unit: $*"; tail -n 60 "$work/log" | cut -c1-250; exit 1; }
seen() { grep -cE -- "$1" "$work/log"; }
until_seen() { # until_seen COUNT REGEX: as long as the machine runs
	until [ "$(seen "$2")" -ge "$1" ]; do kill -0 $pid 2>/dev/null || fail "ended without $1 of /$2/"; sleep 0.1; done
}
hmp() { python3 tests/lib/monitor.py "$work/mon" "$@" || fail "monitor: $*"; }
ctl() { "$BUILD/amphi-tool" ctl --timeout 60 --socket "$work/ctl" "$@" >"$work/out" 2>&1 || fail "ctl $*: $(cat "$work/out")"; }

command -v sfdisk >/dev/null || { echo "no sfdisk here"; exit 77; }
head -c 1048576 /dev/urandom >"$work/bytes"
printf 'label: gpt\nfirst-lba: 34\nstart=64,size=1900\n' | sfdisk -q "$work/bytes"
head -c 8M /dev/zero >"$work/virtio"
for d in o1 o2; do head -c 1M /dev/zero >"$work/$d"; done
messages=nec-usb-xhci,msi=on,msix=off,intrs=16 line=nec-usb-xhci,msi=off,msix=off
digest=$(sha256sum <"$work/bytes" | cut -d' ' -f1)
strip -g -o "$work/amphi" "$BUILD/amphi"
more() { # more REGEX: twice again, so that one was not under way already
	until_seen $(($(seen "$1") + 2)) "$1"
}
machine() { # machine TOPOLOGY IOMMU 'FUNCTIONS...' QEMU...: an NVMe, a card, two USB controllers and perhaps a virtio disk
	topology=$1 unit=$2 functions=$3
	shift 3
	nvme=${functions%% *}
	rm -f "$work/archive" "$work/ctl" "$work/mon"
	ar_file /amphi "$work/amphi"
	ar_domain g <<C
name = "g"
kernel = "/amphi"
memory = 48
cmdline = 'role=guest dma_debug do="sha256 nvme0n1; fill nvme0n1p1 7; $BESIDE repeat 100000 \'-verify nvme0n1p1 7; $WORK sleep 50\'"'
pci = ['$(echo "$functions" | sed "s/ /', '/g")']
pci_topology = "$topology"
C
	ar_pack "$work/archive"
	cp "$work/bytes" "$work/disk"
	timeout -k 5 100 qemu-system-x86_64 -M q35,kernel-irqchip=split -accel tcg -cpu max -m 256 -nodefaults -display none -no-reboot \
		-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off -serial stdio -monitor "unix:$work/mon,server=on,wait=off" \
		-chardev "socket,id=c,path=$work/ctl,server=on,wait=off" -serial chardev:c -device "$unit" \
		-drive "if=none,id=d,format=raw,file=$work/disk" -netdev user,id=n,restrict=on "$@" -kernel "$BUILD/amphi-hv" -append dom0_mem=48M \
		-initrd "$BUILD/amphi role=service stay,$work/archive" </dev/null >"$work/log" 2>&1 &
	pid=$!
	until_seen 1 "@sha256 nvme0n1 $digest"
	until_seen 1 '@irq-try .* messages 16: 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4$'
	until_seen 1 '@irq-try .* line 1: 4$'
	until_seen 1 '@net eth0 10[.]0[.]2[.]'
	for round in $ROUNDS; do
		until_seen $((round * 2 - 1)) 'verify nvme0n1p1 ok'
		ctl pci-detach g "$nvme"
		until_seen "$round" '^\[g\].* pci 0[01]:0[04][.]0: gone'
		ctl pci-attach g "$nvme"
		more 'verify nvme0n1p1 ok'
	done
}
finish() { # finish REGEX: all functions are free, and there are so many
	ctl destroy g
	ctl pci-assignable
	[ "$(grep -cE " free .*" "$work/out")" = "$1" ] || fail "not all are free: $(cat "$work/out")"
}
end() {
	grep -E 'may not (read|write)|nvme0n1: .* (other|bad)|dma_debug:|cannot be lent|does not come back' "$work/log" && fail "something was wrong"
	kill $pid; wait $pid; pid=
}
no_ctl() { # no_ctl REGEX COMMAND...: it is refused, with these words
	why=$1; shift
	"$BUILD/amphi-tool" ctl --timeout 60 --socket "$work/ctl" "$@" >"$work/out" 2>&1 && fail "ctl $*: was not refused"
	grep -qE "$why" "$work/out" || fail "ctl $*: $(cat "$work/out")"
}
group() { # group FUNCTION: its group
	awk -v f="$1" '$1 == f { print $7 }' "$work/out"
}
# What QEMU has of each kind; all but 08:00.0, behind a root port with access control, have a neighbour.
neighbours="-device nvme,serial=m0,addr=9.0,multifunction=on -device nvme,serial=m1,addr=9.1 -device ioh3420,id=ioh,addr=0xa,chassis=7,slot=7 -device x3130-upstream,id=u,bus=ioh
-device xio3130-downstream,id=d1,bus=u,chassis=8,slot=8 -device xio3130-downstream,id=d2,bus=u,chassis=9,slot=9 -device nvme,serial=s1,bus=d1 -device nvme,serial=s2,bus=d2
-device pcie-root-port,id=p,addr=0xb,chassis=10,slot=10 -device nvme,serial=a,bus=p -device pcie-root-port,id=q,addr=0xc,chassis=11,slot=11
-device pcie-pci-bridge,id=old,bus=q -device ich9-ahci,bus=old,addr=1 -device ich9-ahci,bus=old,addr=2"
# Of which no unit can tell one from the other, so that a guest has both in one space.
pair="-device pcie-root-port,id=s,addr=0xf,chassis=12,slot=12 -device pcie-pci-bridge,id=both,bus=s
-drive if=none,id=o1,format=raw,file=$work/o1 -device nvme,serial=o1,drive=o1,bus=both,addr=1
-drive if=none,id=o2,format=raw,file=$work/o2 -device nvme,serial=o2,drive=o2,bus=both,addr=2"
one_goes() {
	[ "$(seen 'dma: 0c:0[12][.]0 io-lazy')" = 2 ] || fail "not both are in a space"
	more 'verify nvme1n1 ok'
	ctl pci-detach g 0c:01.0
	more 'verify nvme2n1 ok'
	ctl pci-attach g 0c:01.0
	more 'verify nvme1n1 ok'
	more 'verify nvme2n1 ok'
	for f in 00:0d.0 00:0e.0; do ctl pci-detach g $f; done # a guest has eight at most
}
groups() {
	ctl pci-assignable
	for pair in '00:09.0 00:09.1' '06:00.0 07:00.0' '0a:01.0 0a:02.0'; do
		[ "$(group ${pair% *})" = "$(group ${pair#* })" ] || fail "$pair are not one group: $(cat "$work/out")"
	done
	[ "$(awk -v g="$(group 08:00.0)" '$7 == g' "$work/out" | wc -l)" = 1 ] || fail "08:00.0 is not alone: $(cat "$work/out")"
	no_ctl 'g: pci 00:09[.]0: in one group with 00:09[.]1 [(]the machine.s[)]' pci-attach g 00:09.0
	no_ctl 'g: pci 06:00[.]0: in one group with 07:00[.]0 [(]the machine.s[)]' pci-attach g 06:00.0
	no_ctl 'g: pci 0a:01[.]0: in one group with 0a:02[.]0 [(]the machine.s[)]' pci-attach g 0a:01.0
	ctl pci-attach g 08:00.0
	ctl pci-assignable-add 0a:02.0
	ctl pci-attach g 0a:01.0
	no_ctl 'pci 0a:02[.]0: in one group with 0a:01[.]0, which domain 1 has' pci-assignable-remove 0a:02.0
	ctl pci-attach g 0a:02.0
	no_ctl 'g: cannot be saved with PCI functions: pci-detach .*08:00[.]0 0a:01[.]0 0a:02[.]0' save g x
	for f in 0a:01.0 08:00.0 0a:02.0; do ctl pci-detach g $f; done
	for f in 0a:02.0 0a:01.0 08:00.0; do ctl pci-assignable-remove $f; done
}
healed() { # healed COUNT FUNCTION: its guest has gone on
	until_seen "$1" "g: pci $2: goes on after an error"
}
deaf() {
	ctl pause g
	ctl pci-detach g "$nvme" --force
	ctl unpause g
	ctl pci-attach g "$nvme"
	until_seen 6 '^\[g\].* pci 00:0[04][.]0: gone'
	more 'verify nvme0n1p1 ok'
}
errors() {
	more 'verify vda ok'
	hmp 'pcie_aer_inject_error v COMP_TIME'
	healed 1 03:00.0
	more 'verify vda ok'
	hmp 'pcie_aer_inject_error v MALF_TLP'
	healed 2 03:00.0
	more 'verify vda ok'
	# of a port: of what is behind it
	hmp 'pcie_aer_inject_error a MALF_TLP'
	healed 1 01:00.0
	hmp "pcie_aer_inject_error b COMP_TIME"
	healed 1 02:00.0
	hmp "pcie_aer_inject_error b MALF_TLP"
	healed 2 02:00.0
	more 'verify nvme0n1p1 ok'
	more 'bytes from 10[.]0[.]2[.]2'
	[ "$(seen 'reset after an error')" = 3 ] || fail "not three resets"
}
pulled_out() {
	hmp pull 00:08.0
	until_seen 1 'g: pci 03:00.0: is not there any more: taken from the guest'
	until_seen 1 '^\[g\].* vda: was pulled out: its disks are gone'
	more 'verify nvme0n1p1 ok'
	more 'bytes from 10[.]0[.]2[.]2'
	ctl pci-list g
	[ "$(grep -c '^g ' "$work/out")" = 4 ] || fail "what was pulled out is still the guest's: $(cat "$work/out")"
}

bad_registers() { # a function whose registers firmware, or whoever, has put where others are
	hmp poke 00:06.0 0x10 "$1"
	"$BUILD/amphi-tool" ctl --socket "$work/ctl" pci-attach g 00:06.0 >"$work/out" 2>&1 && fail "a function at $1 is given"
	grep -qE "g: pci 00:06[.]0: BAR 0 \([0-9a-f-]+\) $2" "$work/out" || fail "$1: $(cat "$work/out")"
}

ROUNDS='1 2 3 4 5' BESIDE='irq-try 00:02.0 16; irq-try 00:02.0 2; irq-try 00:03.0 line;' WORK= machine vpci amd-iommu '00:04.0 00:05.0 00:08.0 00:09.0' \
	-device nvme,drive=d,serial=x,addr=4 -device e1000e,netdev=n,addr=5 -device pci-testdev,addr=6 -device $messages,addr=8 -device $line,addr=9
until_seen 1 '@irq-try .* messages 2: 4 4$'
grep -q '00:05[.]0: lent to domain 1 as 00:01[.]0' "$work/log" || fail "not renumbered"
bad_registers 0x01000000 'is where memory is'
bad_registers "$(hmp peek 00:05.0 0x10)" 'is among BAR 0 of 00:05[.]0'
more 'verify nvme0n1p1 ok'
deaf
finish 5
end
ROUNDS='1 2' BESIDE="irq-try 00:0d.0 16; irq-try 00:0e.0 line; fill nvme1n1 5; fill nvme2n1 6; -repeat 100000 \\'-verify nvme0n1p1 7; -verify nvme1n1 5; verify nvme2n1 6; fill vda 3; verify vda 3; -ping -c 1 10.0.2.2; sleep 50\\';" WORK='-ping -c 1 10.0.2.2;' machine passthrough intel-iommu '01:00.0 02:00.0 03:00.0 00:0d.0 00:0e.0 0c:01.0 0c:02.0' -device pcie-root-port,id=a,addr=6,chassis=1 -device pcie-root-port,id=b,addr=7,chassis=2 \
	-device pcie-root-port,id=c,addr=8,chassis=3 -device nvme,drive=d,serial=x,bus=a -device e1000e,netdev=n,bus=b \
	-drive "if=none,id=v,format=raw,file=$work/virtio" \
	-device $messages,addr=d -device $line,addr=e -device virtio-blk-pci,id=v,drive=v,bus=c,aer=on,disable-legacy=on,iommu_platform=on $neighbours $pair
grep -q '02:00[.]0: lent to domain 1 as 02:00[.]0' "$work/log" || fail "not as it is"
one_goes
groups
errors
pulled_out
finish 6
grep -q '^03:00[.]0 .* gone ' "$work/out" || fail "it does not say that it is gone: $(cat "$work/out")"
ctl pci-assignable-remove 01:00.0
hmp pull 00:06.0
until_seen 1 'nvme[0-9]: was pulled out: its disks are gone'
end
echo "two functions of a guest, one taken and given back, behind VT-d and behind AMD-Vi; groups are kept; five errors healed, two disks pulled out, bad registers refused"

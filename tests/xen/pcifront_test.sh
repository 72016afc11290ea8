#!/bin/sh
# pcifront_test: a PV guest of ours on real Xen owns an NVMe disk, an AHCI controller (whose interrupt is a plain MSI) with a
# disk, an e1000e card, and a USB controller that has nothing but a line (INTx), lent to it by Linux's xen-pciback.
# Why: configuration space, interrupts and the map of registers go through another domain, and the drivers know nothing of it.
# Expected: the disk's bytes are those of the image, before and after the guest has written; the card gets an address and
# answers; the line is heard as often as it was pulled, twice bound, though xen-pciback listens to it as well; xl takes the disk away while the guest runs, and the card goes on; xl brings it back, three times, and the guest
# finds what it has written, by the same name, and has lost no memory; when it is gone the image has the guest's last bytes.
# timeout: 400
. "$(dirname "$0")/lib.sh"
mkdir -p "$work/test"
cp "$BUILD/amphi" "$work/test/"
dd if=/dev/urandom of="$work/disk" bs=1M count=8 2>/dev/null
dd if=/dev/urandom of="$work/sata" bs=1M count=2 2>/dev/null
echo "first $(sha256sum <"$work/disk" | cut -d' ' -f1)" >"$work/sums"
cat >"$work/test/run.sh" <<'R'
log=/var/log/xen/console/guest-g.log
end() { sed 's/^/[g] /' $log; exit $1; }
says() { # says REGEX [TIMES]: waits until the console has so many of these lines
	until_said -n "${2:-1}" -t 300 "$1" $log || { echo "MISSED $1"; end 1; }
}
tell() { echo "$1" >"$(xenstore-read /local/domain/$(xl domid g)/console/tty)"; }
modprobe xen-pciback
for d in /sys/bus/pci/devices/*; do
	case $(cat $d/class) in 0x010802) disk=${d##*/} ;; 0x010601) sata=${d##*/} ;; 0x020000) card=${d##*/} ;; 0x0c0330) usb=${d##*/} ;; esac
done
for f in $disk $sata $card $usb; do xl pci-assignable-add $f || exit 1; done
cat >/tmp/g.cfg <<C
name="g"
type="pv"
kernel="/test/amphi"
memory=32
tsc_mode="native"
cmdline="dma_panic do=\"sha256 sda; sha256 nvme0n1; fill nvme0n1 5; verify nvme0n1 5; irq-try 00:03.0 line; irq-try 00:03.0 line; ping -c 2 -s 1400 10.0.2.2; netstat; echo first part\""
pci=['$disk','$card','$sata','$usb']
on_poweroff="destroy"
on_crash="preserve"
C
xl create /tmp/g.cfg || exit 1
says '^first part'
xenstore-ls -f /local/domain/0/backend/pci | sed 's/^/BACK /'
for n in 1 2 3; do
	xl pci-detach g $disk || echo "MISSED detach $n"
	says 'pci 00:00.0: gone' $n
	tell 'disks; ping -c 1 10.0.2.2; echo without it'
	says '^without it' $n
	xl pci-attach g $disk || echo "MISSED attach $n"
	tell "verify nvme0n1 $((4 + n)); fill nvme0n1 $((5 + n)); verify nvme0n1 $((5 + n)); stats; echo with it"
	says '^with it' $n
done
xenstore-write /local/domain/$(xl domid g)/control/shutdown suspend
says '@suspend refused'
tell 'sha256 nvme0n1; stats; halt 4'
until_ended g
xl domid g >/dev/null 2>&1 && end 1
dmesg | grep -iE 'pciback.*(error|cannot|fail)' | sed 's/^/BACK complains: /'
end 0
R
XEN_SECONDS=120
xen_linux "$work/test" -machine kernel-irqchip=off -device intel-iommu,intremap=on,aw-bits=48 \
	-drive "file=$work/disk,if=none,id=d,format=raw" -device nvme,drive=d,serial=pcidisk \
	-drive "file=$work/sata,if=none,id=s,format=raw" -device ide-hd,drive=s,bus=ide.0 \
	-netdev user,id=n,restrict=on -device e1000e,netdev=n,mac=52:54:00:00:00:09 -device nec-usb-xhci,msi=off,msix=off >"$work/log"
! grep -E 'MISSED|complains' "$work/log" || { tail -n 60 "$work/log"; exit 1; }
expect "$work/log" '^TEST-EXIT: 0'
expect "$work/log" "^\\[g\\] @sha256 nvme0n1 $(sed -n 's/^first //p' "$work/sums")"
expect "$work/log" "^\\[g\\] @sha256 nvme0n1 $(sha256sum <"$work/disk" | cut -d' ' -f1)"
expect "$work/log" "^\\[g\\] @sha256 sda $(sha256sum <"$work/sata" | cut -d' ' -f1)"
[ "$(grep -c '^\[g\] @irq-try 00:03.0 line 1: 4$' "$work/log")" = 2 ] || { grep irq-try "$work/log"; exit 1; }
for n in 5 6 7 8; do expect "$work/log" "^\\[g\\] @fill nvme0n1 $n"; done
[ "$(grep -c '^\[g\] @verify nvme0n1 ok' "$work/log")" = 7 ] || { grep verify "$work/log"; exit 1; }
! grep -E '^\[g\] .*(no answer|reset [0-9]|not usable|has failed|does not answer)' "$work/log" || exit 1
expect "$work/log" '^\[g\] @net eth0 10.0.2.15/24'
expect "$work/log" '^\[g\] @ping 10.0.2.2 sent=2 received=2 twice=0 wrong=0'
[ "$(grep -c '^\[g\] @ping 10.0.2.2 sent=1 received=1' "$work/log")" = 3 ] || { grep ping "$work/log"; exit 1; }
expect "$work/log" '^\[g\] @stat net=eth0 .*mac=52:54:00:00:00:09'
expect "$work/log" '^\[g\] @stat net=eth0 queue=0 .* notifications=[1-9]'
sed -n 's/^\[g\] @stat memory_kib=.* free_kib=\([0-9]*\) hypercalls.*/\1/p' "$work/log" >"$work/free"
# A controller has some 250 KiB; a few pages come and go with what the card has received.
[ $(($(sed -n 1p "$work/free") - $(sed -n 3p "$work/free"))) -lt 100 ] || { echo "memory is lost:"; cat "$work/free"; exit 1; }
expect "$work/log" '^\[g\] @suspend refused'
expect "$work/log" '^\[g\] @exit 4'
echo "a PV guest's own NVMe, AHCI, e1000e and a line, by Linux's xen-pciback: bytes as on the image, taken away and brought back three times"

#!/bin/sh
# dom0_pci_test: our control domain as real Xen's first domain lends PCI functions to a guest of ours: an NVMe, an e1000e, an AHCI
# controller (a plain MSI, and no reset) and a virtual function of another NVMe, behind VT-d. Why: Xen has rules for functions that
# our own hypervisor does not have: MSI-X tables are told of first, messages are not masked, registers answer while vectors go, and a
# domain that has not asked for an IOMMU gets nothing. Expected: the disks' bytes, an address and answers, as the guest's own
# memory allows (no IO spaces there: direct); destroyed in the middle of its work and made anew it has them again; then
# our drivers have them back, and another guest reads by them what the first has written.
# timeout: 240
. "$(dirname "$0")/lib.sh"
. "$here/../lib/archive.sh"
pid=
trap 'kill $pid 2>/dev/null; wait; rm -rf "$work"' EXIT
fail() { echo "$*"; tail -n 60 "$work/log" | cut -c1-250; exit 1; }
seen() { grep -cE -- "$1" "$work/log"; }
until_seen() { # until_seen COUNT REGEX: as long as the machine runs
	until [ "$(seen "$2")" -ge "$1" ]; do kill -0 $pid 2>/dev/null || fail "ended without $1 of /$2/"; sleep 0.1; done
}
ctl() { "$BUILD/amphi-tool" ctl --timeout 100 --socket "$work/ctl" "$@" >"$work/out" 2>&1 || fail "ctl $*: $(cat "$work/out")"; }

for n in a b c; do head -c 2097152 /dev/urandom >"$work/$n"; done
sum() { sha256sum <"$work/$1" | cut -d' ' -f1; }
sum_a=$(sum a) sum_b=$(sum b) sum_c=$(sum c)
strip -g -o "$work/amphi" "$BUILD/amphi"
ar_file /amphi "$work/amphi"
ar_disk /a.img A
ar_disk /b.img QM00001
ar_disk /c.img C
ar_domain bare <<'C'
name = "bare"
kernel = "/amphi"
memory = 16
pci = ['00:04.0']
C
ar_domain g <<'C'
name = "g"
kernel = "/amphi"
memory = 24
passthrough = 'enabled'
cmdline = 'role=guest dma_panic do="sha256 nvme0n1; sha256 sda; sha256 nvme1n1; fill nvme0n1 7; fill sda 8; fill nvme1n1 9; ping -c 2 -s 1400 10.0.2.2; repeat 100000 \'verify nvme0n1 7; verify sda 8; verify nvme1n1 9\'"'
pci = ['00:04.0', '00:05.0', '00:1f.2', '01:00.1']
C
ar_domain u <<'C'
name = "u"
kernel = "/amphi"
memory = 16
cmdline = 'role=guest do="verify xvda 7; verify xvdb 8; verify xvdc 9; halt 6"'
disk = ['/a.img,raw,xvda,ro', '/b.img,raw,xvdb,ro', '/c.img,raw,xvdc,ro']
C
ar_pack "$work/archive"

: >"$work/log"
timeout -k 5 200 qemu-system-x86_64 -M q35,kernel-irqchip=split -accel tcg -cpu max,-smap,-smep,-rdtscp,-xsave -m 256 -nodefaults \
	-display none -no-reboot -serial stdio -monitor none -chardev "socket,id=c,path=$work/ctl,server=on,wait=off" -serial chardev:c \
	-device intel-iommu,intremap=on,aw-bits=48 -kernel "$xen_dir/xen" \
	-append "console=com1 com1=115200 spec-ctrl=eager-fpu loglvl=warning guest_loglvl=warning dom0_mem=48M,max:48M" \
	-initrd "$BUILD/amphi dma_panic vfs=1 role=service stay,$work/archive" \
	-drive "if=none,id=a,format=raw,file=$work/a" -device nvme,drive=a,serial=A,addr=4 \
	-netdev user,id=n,restrict=on -device e1000e,netdev=n,addr=5 \
	-drive "if=none,id=b,format=raw,file=$work/b" -device ide-hd,drive=b,bus=ide.0 \
	-device pcie-root-port,id=rp,slot=1 -device nvme-subsys,id=s \
	-device nvme,id=v,serial=C,subsys=s,bus=rp,sriov_max_vfs=1,sriov_vq_flexible=8,sriov_vi_flexible=4,max_ioqpairs=10,msix_qsize=9 \
	-drive "if=none,id=c0,format=raw,file=$work/c" -device nvme-ns,drive=c0,bus=v,nsid=1,shared=on </dev/null >"$work/log" 2>&1 &
pid=$!
until_seen 1 '^\[g\] @verify nvme1n1 ok'
grep -q 'bare: pci 00:04.0: .*passthrough="enabled"' "$work/log" || fail "given to a domain that has asked for no IOMMU"
for disk in "nvme0n1 $sum_a" "sda $sum_b" "nvme1n1 $sum_c"; do
	grep -q "^\[g\] @sha256 $disk" "$work/log" || fail "not the bytes of $disk"
done
grep -q '^\[g\] @ping 10.0.2.2 sent=2 received=2 twice=0 wrong=0' "$work/log" || fail "no answers by the lent card"
[ "$(seen '^\[g\].* dma: .* direct')" = 4 ] || fail "not all go direct"
ctl pci-list
grep -qE '^g +01:00.1 +[^ ]+ +4 +[2-9] ' "$work/out" || fail "the virtual function has one vector: $(cat "$work/out")"
# In the middle of its reads; then a new one with the same functions.
ctl destroy g
until_seen 1 'g: pci 00:04.0: taken: reset'
verified=$(seen '^\[g\] @verify nvme1n1 ok')
ctl create g
until_seen $((verified + 1)) '^\[g\] @verify nvme1n1 ok'
ctl destroy g
until_seen 2 'g: pci 00:04.0: taken: reset'
ctl pci-assignable
[ "$(grep -cE '^(00:04.0|00:05.0|00:1f.2|01:00.1) .* free ' "$work/out")" = 4 ] || fail "not all are free: $(cat "$work/out")"
for f in 00:04.0 00:05.0 00:1f.2; do ctl pci-assignable-remove $f; done
ctl create u
until_seen 1 '@domain u exit 6'
[ "$(seen '^\[u\] @verify xvd[abc] ok')" = 3 ] || fail "not what the guest has written"
grep -E 'Xen WARN|masking MSI-X|[Ii]nsecure|already (assigned|enabled)|\[VT-D\]|has failed|does not answer|not usable|dma_debug' "$work/log" && fail "something was wrong"
echo "four functions of real Xen's guest, lent by our first domain: used, destroyed with it, lent anew, and driven here again"

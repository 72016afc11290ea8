#!/bin/sh
# sriov_test: virtual functions of an NVMe controller are turned on, given queues and vectors, and driven as controllers of
# their own. Why: it takes configuration space beyond what ports reach, addresses that the firmware did not give, and commands
# that no other controller is asked. Expected: two functions, by which the namespace reads as the host has it, and of which
# one sees what the other wrote; on the root bus, where no addresses are known to be free, none, and the controller works.
. "$(dirname "$0")/lib.sh"
head -c 4M /dev/urandom >"$work/d.img"
want=$(sha256sum <"$work/d.img" | cut -d' ' -f1)
boot() { # boot BUS DO
	native 64 "vfs=2 do='$2; halt'" -drive "if=none,id=d,format=raw,file=$work/d.img" -device pcie-root-port,id=rp,slot=1 \
		-device nvme-subsys,id=s -device "nvme,id=c,serial=sr,subsys=s,bus=$1,sriov_max_vfs=2,sriov_vq_flexible=8,sriov_vi_flexible=4,max_ioqpairs=10,msix_qsize=9" \
		-device nvme-ns,drive=d,bus=c,nsid=1,shared=on </dev/null >"$work/log"
	expect_status 0 "$work/log"
}
boot rp 'sha256 nvme0n1; sha256 nvme1n1; sha256 nvme2n1; fill nvme1n1 5; verify nvme2n1 5; verify nvme0n1 5'
expect "$work/log" 'nvme0: 2 virtual functions'
for n in 0 1 2; do expect "$work/log" "^@sha256 nvme${n}n1 $want"; done
expect "$work/log" '^@verify nvme2n1 ok'
expect "$work/log" '^@verify nvme0n1 ok'
boot pcie.0 'disks; verify nvme0n1 5'
expect "$work/log" 'nvme0: no virtual functions'
expect "$work/log" '^@verify nvme0n1 ok'
grep -q '^nvme1n1' "$work/log" && { echo "a function without addresses was driven"; exit 1; }
echo "two virtual functions read and write as controllers of their own"

#!/bin/sh
# nic_test: a virtio-net and an e1000e card, driven by our kernel as real Xen's first domain.
# Why: there MSI-X is Xen's to route, the registers are mapped by hypercall, and pages that lie side by side for us do not for a
# device; amphi-hv is held to the same by tests/qemu/nic_test.sh. Expected: both get an address by DHCP from QEMU's own network
# and reach their gateways, with frames of several pieces.
# timeout: 200
. "$(dirname "$0")/lib.sh"
xen_begin "$BUILD/amphi" role=native "" \
	-netdev user,id=a,restrict=on -device virtio-net-pci,netdev=a,mac=52:54:00:00:00:01 \
	-netdev user,id=b,restrict=on,net=10.0.3.0/24 -device e1000e,netdev=b,mac=52:54:00:00:00:02
for n in 0 1; do xen_said "^@net eth$n"; done
xen_types 'ping -c 2 -s 1400 10.0.2.2' 'ping -c 2 -s 4000 10.0.3.2' netstat halt
xen_end
expect "$work/log" 'platform=xen-pv'
expect "$work/log" '^@net eth0 10.0.2.15/24'
expect "$work/log" '^@net eth1 10.0.3.15/24'
expect "$work/log" '^@ping 10.0.2.2 sent=2 received=2 twice=0 wrong=0'
expect "$work/log" '^@ping 10.0.3.2 sent=2 received=2 twice=0 wrong=0'
expect "$work/log" '^@exit 0'
grep -E '^@ping' "$work/log"

#!/bin/sh
# soak.sh (`make soak`, some minutes): a thousand small guests and fifty stock Linux guests are made and ended on amphi-hv,
# and nothing is left of them; an NVMe has a thousand owners; the power is cut a hundred times under a load of writes; two Linux guests behind our network driver
# domain send each other echoes of every length there is, and 1 GiB of which tcpdump at both ends accounts for every byte; and the
# defects that others have published are put back one by one (defects.sh). What the test suite has no time for; cycle_test, pci_cycle_test,
# power_cut_test and driver_net_tools_test do a part of it each time.
# Expected: each defect is found; free pages, grants, ports, store nodes, watches and connections are where they were, and Linux was up in its
# user space in those that lived long enough.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
CYCLES=${CYCLES:-1000} tests/qemu/cycle_test.sh
CYCLES=${PCI_CYCLES:-200} tests/qemu/pci_cycle_test.sh
POWER_CUTS=${POWER_CUTS:-100} tests/qemu/power_cut_test.sh
tests/defects.sh
ACCOUNT_MIB=${ACCOUNT_MIB:-1024} PINGS=${PINGS:-0-65507} REBOOTS=l2 XEN_SECONDS=900 tests/xen/driver_net_tools_test.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
BUILD=$BUILD tests/xen/root.sh
. tests/lib/archive.sh
mkdir -p "$work/root/bin"
cp "$BUILD/xen/root/usr/bin/busybox" "$work/root/bin/"
printf '#!/bin/busybox sh\necho "LINUX up"\nwhile :; do /bin/busybox sha256sum /bin/busybox >/dev/null; done\n' >"$work/root/init"
chmod +x "$work/root/init"
(cd "$work/root" && find . -mindepth 1 | cpio --quiet -o -H newc -R 0:0) >"$work/initrd"
ar_file /vmlinux "$BUILD/xen/vmlinux"
ar_file /initrd "$work/initrd"
ar_domain linux <<-'C'
	name = "linux"
	kernel = "/vmlinux"
	ramdisk = "/initrd"
	memory = 128
	vcpus = 2
	cmdline = "console=hvc0 loglevel=1 tsc=reliable"
C
ar_pack "$work/archive"
long=10 short=40
timeout -k 5 900 qemu-system-x86_64 -M q35 -accel tcg,thread=single -smp 2 -cpu max -m 600 -nodefaults -display none -no-reboot \
	-serial stdio -monitor none -kernel "$BUILD/amphi-hv" -append dom0_mem=256M \
	-initrd "$BUILD/amphi role=service stay loglevel=2 do=\"sleep 1000; destroy linux; cycle linux $short 1500; cycle linux $long 12000; halt\",$work/archive" \
	</dev/null 2>&1 | tr -d '\r' >"$work/log"
up=$(grep -c '^\[linux\] LINUX up' "$work/log") || true
grep -q "^@cycle ok linux $short\$" "$work/log" && grep -q "^@cycle ok linux $long\$" "$work/log" && [ "$up" -ge $((long / 2)) ] ||
	{ echo "Linux: $up were up;"; grep '^@cycle\|before,' "$work/log"; tail -n 20 "$work/log"; exit 1; }
echo "$((short + long)) Linux guests of 2 vCPUs made and ended, $up of them up in user space: nothing left"

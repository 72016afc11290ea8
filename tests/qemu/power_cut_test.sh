#!/bin/sh
# power_cut_test: what a disk has acknowledged to be on the medium is there after the power was cut.
# Why: flush and FUA are promises to file systems; a driver or layer that answers too early is found by nothing else.
# The disk is a qcow2 image, whose tables QEMU keeps in memory until it is told to flush: a write without its flush is
# lost when QEMU is killed, as in a disk's own cache. Expected: QEMU killed at a random moment, every entry that the
# kernel said was flushed, or written through, is in the image. Clusters of 4 KiB: an entry then is a cluster, so nothing is
# written around it, and an L2 table holds 32 entries, so that many tables wait for a flush. POWER_CUTS is how often
# (27 here; 100 in make soak).
# timeout: 900
. "$(dirname "$0")/lib.sh"
# In memory where there is some to be had: flushes that wait for the host's disk, which is everybody's, are long.
fast=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$work" "$fast"' EXIT
cuts=${POWER_CUTS:-27}
devices="nvme,serial=x virtio-blk-pci ide-hd"

look() { # look LOG IMAGE: every acknowledged entry is in the image
	python3 - "$1" "$2" <<'P'
import re, sys
log = open(sys.argv[1], errors="replace").read()
done = re.findall(r"^@ledger (flushed|through) (\d+)\n", log.replace("\r", ""), re.M)
wanted = set()
for kind, n in done:
    wanted.update(range(1, int(n) + 1) if kind == "flushed" else [int(n)])
if not wanted:
    sys.exit("nothing was acknowledged before the cut")
with open(sys.argv[2], "rb") as f:
    entries = f.seek(0, 2) // 65536
    for n in sorted(wanted):
        f.seek(n * 17 % entries * 65536)
        if f.read(4096) != n.to_bytes(8, "little") * 512:
            sys.exit("entry %d was acknowledged and is not there (%d were)" % (n, len(wanted)))
print(len(wanted))
P
}

total=0 n=0
while [ $n -lt "$cuts" ]; do
	for device in $devices; do
		[ $n -lt "$cuts" ] || break
		n=$((n + 1))
		case $device in nvme*) disk=nvme0n1 ;; virtio*) disk=vda ;; *) disk=sda ;; esac
		rm -f "$fast/d.qcow2" "$fast/d.raw" "$work/log"
		qemu-img create -q -f qcow2 -o cluster_size=4k "$fast/d.qcow2" 1G
		timeout -s KILL 60 qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 32 -nodefaults -display none -no-reboot \
			-serial "file:$work/log" -monitor none -kernel "$BUILD/amphi" -append "do='ledger $disk'" \
			-drive "if=none,id=d,format=qcow2,cache=writeback,file=$fast/d.qcow2" -device "$device,drive=d" </dev/null &
		qemu=$!
		# The last line may be half a line.
		for i in $(seq 3000); do [ "$(cat "$work/log" 2>/dev/null | grep -c '@ledger')" -lt 2 ] || break; sleep 0.02; done
		sleep "0.$(awk -v s="$n$(date +%N)" 'BEGIN { srand(s); printf "%03d", rand() * 1000 }')"
		# The child of timeout, so that nothing of it runs on.
		pkill -KILL -P $qemu
		wait $qemu 2>/dev/null
		qemu-img check -q -r all "$fast/d.qcow2" >/dev/null 2>&1
		qemu-img convert -O raw "$fast/d.qcow2" "$fast/d.raw" || exit 1
		found=$(look "$work/log" "$fast/d.raw") || { echo "cut $n, $device: $found"; tail -n 3 "$work/log"; exit 1; }
		total=$((total + found))
	done
done
echo "$n cuts (make soak: 100): $total acknowledged entries, all there"

#!/bin/sh
# restore_test: domains of amphi-hv are saved to a disk and restored, over and over, and by another machine.
# Why: what is left behind of a saved or restored domain adds up; and a disk is moved because its machine goes. Expected: after 50 rounds
# pages of hypervisor and service domain, grants, ports, store nodes, watches and connections are where they were; a guest
# saved in the middle of its work goes on in a second machine with its memory, its programs, its disk and both vCPUs; a
# stream that is not whole, or whose first record is spoiled, is refused by name and place, and nothing is left of it.
# timeout: 400
BUILD=${BUILD:-build}
work=$(mktemp -d)
machine=
trap 'kill $machine 2>/dev/null; wait; rm -rf "$work"' EXIT
. tests/lib/archive.sh

strip -g -o "$work/amphi" "$BUILD/amphi"
(cd "$BUILD/user" && printf '%s\n' count | cpio --quiet -o -H newc) >"$work/ramdisk"
truncate -s 4M "$work/a.img"
truncate -s 40M "$work/save.img"

fail() {
	echo "$1:"; grep -v '^@stat' "$work/log" | tail -n 50; exit 1
}

# The machine with both disks, the shell of its service domain running COMMANDS, and a control port.
begin() { # begin COMMANDS
	rm -f "$work/ctl"
	timeout -k 5 600 qemu-system-x86_64 -M q35 -accel tcg,thread=single -smp 1 -cpu max -m 160 -nodefaults -display none -no-reboot \
		-serial stdio -chardev "socket,id=ctl,path=$work/ctl,server=on,wait=off" -serial chardev:ctl -monitor none \
		-kernel "$BUILD/amphi-hv" -append dom0_mem=48M \
		-initrd "$BUILD/amphi dma_panic role=service stay do=\"$1\",$work/archive" \
		-drive "if=none,id=a,format=raw,file=$work/a.img" -device nvme,serial=amphi0,drive=a \
		-drive "if=none,id=s,format=raw,file=$work/save.img" -device virtio-blk-pci,serial=amphi1,drive=s \
		</dev/null >"$work/log" 2>&1 &
	machine=$!
	sees '^@ready' "the service domain does not start"
}
end() {
	kill $machine 2>/dev/null; wait $machine
	tr -d '\r' <"$work/log" >"$work/said"; mv "$work/said" "$work/log"
}
sees() { # sees REGEX WHAT-ELSE: soon, or it fails
	for _ in $(seq 3600); do
		tr -d '\r' <"$work/log" | grep -qE -- "$1" && return
		kill -0 $machine 2>/dev/null || break
		sleep 0.2
	done
	fail "$2"
}
ctl() { "$BUILD/amphi-tool" ctl --timeout 300 --socket "$work/ctl" "$@" >"$work/out" 2>&1; }

ar_file /amphi "$work/amphi"
ar_file /ramdisk "$work/ramdisk"
ar_disk /a.img amphi0
ar_disk /save.img amphi1
for g in small busy; do
	[ $g = small ] && memory=8 vcpus=1 do='repeat 10000 sleep 50' ||
		{ memory=24 vcpus=2 do="ramdisk r 2048; fill r 3; start run -2 count 12; repeat 10000 'cpu; fill xvdb %; verify xvdb %; verify r 3; sleep 20'"; }
	ar_domain $g <<-C
	name = "$g"
	kernel = "/amphi"
	ramdisk = "/ramdisk"
	memory = $memory
	vcpus = $vcpus
	cmdline = "role=guest do=\"$do\""
	disk = ["/a.img,raw,xvdb,rw"]
	C
done
sed -i 's/^domain /spare /' "$work/ar/manifest"
ar_pack "$work/archive"

begin "cycle small ${CYCLES:-50} 20 /save.img"
sees '^@cycle' "the rounds do not end"
grep -q "^@cycle ok small ${CYCLES:-50}" "$work/log" || fail "rounds of save and restore left something"
ctl create busy || fail "no busy guest: $(cat "$work/out")"
sees '^\[busy\] @verify xvdb ok' "the busy guest does not begin"
ctl save busy /save.img || fail "not saved: $(cat "$work/out")"
end
counted=$(grep -c '^\[busy\] count: in order' "$work/log") # on a machine with much else to do
last=$(sed -n 's/^\[busy\] @fill xvdb \([0-9]*\).*/\1/p' "$work/log" | tail -n 1)

cp "$work/save.img" "$work/whole.img"
begin list
ctl restore /save.img || fail "not restored: $(cat "$work/out")"
sees '^@domain busy id=1 memory_kib=24576$' "the second machine has another domain"
[ "$counted" != 0 ] || sees '^\[busy\] count: in order' "its program found its memory or registers changed"
sees '^\[busy\] @verify xvdb ok' "it does not work its disk"
sees '^\[busy\] @cpu count=' "it does not look at its vCPUs"
end
first=$(sed -n 's/^\[busy\] @fill xvdb \([0-9]*\).*/\1/p' "$work/log" | head -n 1)
[ "$first" -ge "$last" ] && [ "$first" -le $((last + 1)) ] || fail "it went on at $first, having been at $last"
grep -E '^\[busy\] .*( bad|refused|panic)' "$work/log" && exit 1
[ "$(grep -E '^\[busy\] @cpu count=[0-9]+ online=[0-9]+$' "$work/log" | tail -n 1)" = '[busy] @cpu count=2 online=2' ] || fail "its vCPUs are not there"

at=$(grep -abo 'LibxlFmt' "$work/whole.img" | head -n 1 | cut -d: -f1)
refused() { # refused TEXT: the stream on the disk
	ctl restore /save.img && fail "taken, though: $1"
	grep -qF "$1" "$work/out" || fail "'$(cat "$work/out")' and not '$1'"
	ctl list busy && fail "something is left of a refused domain"
}
printf '\005' | dd of="$work/save.img" bs=1 seek=$((at + 64)) conv=notrunc 2>/dev/null
begin list
refused "busy: it stands out of order (VCPU_EXTENDED at byte $((at + 64)))"
end
dd if=/dev/zero of="$work/save.img" bs=32 count=1 conv=notrunc 2>/dev/null
begin list
refused "restore: no saved domain, or not all of one (xl's header at byte 0)"
end
echo "${CYCLES:-50} rounds of save and restore left nothing; a guest saved at round $last of its work went on at $first in another machine"

#!/bin/sh
# restore_test: domains of amphi-hv are saved to a disk and restored, over and over, and by another machine.
# Why: what is left behind of a saved or restored domain adds up; and a disk is moved because its machine goes. Expected: after 50 rounds
# pages of hypervisor and service domain, grants, ports, store nodes, watches and connections are where they were; a guest
# saved in the middle of its work goes on in a second machine with its memory, its programs, its disk and both vCPUs; a
# stream that is not whole, or whose first record is spoiled, is refused by name and place, and nothing is left of it.
# timeout: 200
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/lib/archive.sh

strip -g -o "$work/amphi" "$BUILD/amphi"
(cd "$BUILD/user" && printf '%s\n' count | cpio --quiet -o -H newc) >"$work/ramdisk"
truncate -s 4M "$work/a.img"
truncate -s 40M "$work/save.img"

fail() {
	echo "$1:"; grep -v '^@stat' "$work/log" | tail -n 50; exit 1
}

machine() { # machine SECONDS COMMANDS
	timeout -k 5 "$1" qemu-system-x86_64 -M q35 -accel tcg,thread=single -smp 1 -cpu max -m 160 -nodefaults -display none -no-reboot \
		-serial stdio -monitor none -kernel "$BUILD/amphi-hv" -append dom0_mem=48M \
		-initrd "$BUILD/amphi role=service ${stay-stay} do=\"sleep 500; $2; halt\",$work/archive" \
		-drive "if=none,id=a,format=raw,file=$work/a.img" -device nvme,serial=amphi0,drive=a \
		-drive "if=none,id=s,format=raw,file=$work/save.img" -device virtio-blk-pci,serial=amphi1,drive=s \
		</dev/null 2>&1 | tr -d '\r' >"$work/log"
}

ar_file /amphi "$work/amphi"
ar_file /ramdisk "$work/ramdisk"
ar_disk /a.img amphi0
ar_disk /save.img amphi1
for g in small busy; do
	[ $g = small ] && memory=8 vcpus=1 do='repeat 10000 sleep 50' ||
		{ memory=24 vcpus=2 do="ramdisk r 2048; fill r 3; start run -2 count 5; repeat 10000 'cpu; fill xvdb %; verify xvdb %; verify r 3; sleep 20'"; }
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

machine 120 "cycle small ${CYCLES:-50} 20 /save.img; create busy; sleep 2500; save busy /save.img"
grep -q "^@cycle ok small ${CYCLES:-50}\$" "$work/log" || fail "rounds of save and restore left something"
grep -q '^\[busy\] @verify xvdb ok' "$work/log" || fail "the busy guest did not begin"
grep -q ' busy: saved to ' "$work/log" || fail "the busy guest was not saved"
last=$(sed -n 's/^\[busy\] @fill xvdb \([0-9]*\).*/\1/p' "$work/log" | tail -n 1)

cp "$work/save.img" "$work/whole.img"
machine 60 'restore /save.img; sleep 5000; list; destroy busy'
grep -q '^@domain busy id=1 memory_kib=24576$' "$work/log" || fail "the second machine did not restore it"
first=$(sed -n 's/^\[busy\] @fill xvdb \([0-9]*\).*/\1/p' "$work/log" | head -n 1)
[ "$first" -ge "$last" ] && [ "$first" -le $((last + 1)) ] || fail "it went on at $first, having been at $last"
grep -q '^\[busy\] @verify xvdb ok' "$work/log" && grep -q '^\[busy\] @verify r ok' "$work/log" || fail "its disk or its memory is not what it was"
grep -E '^\[busy\] .*( bad|refused|panic)' "$work/log" && exit 1
grep -qE '^\[busy\] count: in order' "$work/log" || fail "its program found its memory or registers changed"
[ "$(grep '^\[busy\] @cpu' "$work/log" | sort -u)" = '[busy] @cpu count=2 online=2' ] || fail "its vCPUs are not there"

# The commands' end is the machine's: a command that fails ends it.
at=$(grep -abo 'LibxlFmt' "$work/whole.img" | head -n 1 | cut -d: -f1)
printf '\005' | dd of="$work/save.img" bs=1 seek=$((at + 64)) conv=notrunc 2>/dev/null
stay='' machine 60 'restore /save.img'
grep -q "error: busy: it stands out of order (VCPU_EXTENDED at byte $((at + 64)))" "$work/log" || fail "a spoiled record was taken"
dd if=/dev/zero of="$work/save.img" bs=32 count=1 conv=notrunc 2>/dev/null
stay='' machine 60 'restore /save.img'
grep -q "error: restore: no saved domain, or not all of one (xl's header at byte 0)" "$work/log" || fail "a stream without its mark was taken"
echo "${CYCLES:-50} rounds of save and restore left nothing; a guest saved at round $last of its work went on at $first in another machine"

#!/bin/sh
# partitions_test: partitions and slices of real disks, by every name. Why: a guest's disk is most often a part of the
# machine's, and a wrong start is another's data. Expected: of a GPT whose first copy is damaged each partition has the
# bytes that the host put there, by number, label and GUID; a logical partition of an MBR is written where the host
# finds it, and nothing around it; a slice is those bytes, and one beyond the end is none; sfdisk still likes the disks.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin
uuid=0b1c2d3e-1111-2222-3333-445566778899
head -c 16M /dev/urandom >"$work/gpt.img"
printf 'label: gpt\nstart=2048, size=8192, name=boot\nstart=12288, size=6144, name="the data", uuid=%s\n' $uuid |
	sfdisk -q --no-reread --wipe always "$work/gpt.img"
printf 'damage' | dd of="$work/gpt.img" bs=1 seek=1100 conv=notrunc status=none
truncate -s 16M "$work/mbr.img"
printf 'label: dos\nlabel-id: 0xcafe1234\nstart=2048,size=2048,type=83\nstart=6144,size=20480,type=5\nstart=8192,size=2048,type=83\nstart=12288,size=4096,type=83\n' |
	sfdisk -q --no-reread "$work/mbr.img"
sfdisk -d "$work/mbr.img" >"$work/mbr.before"
part() { dd if="$1" bs=512 skip="$2" count="$3" status=none | sha256sum | cut -d' ' -f1; }
one=$(part "$work/gpt.img" 2048 8192) two=$(part "$work/gpt.img" 12288 6144) cut=$(part "$work/gpt.img" 6144 512)

native 32 "do='sha256 nvme0n1p1; sha256 \"PARTLABEL=the data\"; sha256 PARTUUID=$uuid; sha256 nvme0n1@3M+256K; fill PARTUUID=cafe1234-06 5; fill vda1@1023K+1K 6; disks; sha256 vda@15M+2M'" \
	-drive if=none,id=n,format=raw,readonly=on,file="$work/gpt.img" -device nvme,drive=n,serial=first \
	-drive if=none,id=v,format=raw,file="$work/mbr.img" -device virtio-blk-pci,drive=v,disable-legacy=on </dev/null >"$work/log"
expect "$work/log" 'disk nvme0n1: the first GPT is damaged: the second is used'
expect "$work/log" "^@sha256 nvme0n1p1 $one"
[ "$(grep -c "^@sha256 nvme0n1p2 $two" "$work/log")" = 2 ] || expect "$work/log" 'the data, twice'
expect "$work/log" "^@sha256 slice0 $cut"
expect "$work/log" '^@fill vda6 5'
expect "$work/log" '^@fill slice1 6'
expect "$work/log" '^vda5 +1024 KiB'
expect "$work/log" 'a slice of vda is not on it'
tool=$BUILD/amphi-tool
dd if="$work/mbr.img" bs=512 skip=12288 count=4096 status=none >"$work/p6"
dd if="$work/mbr.img" bs=512 skip=4094 count=2 status=none >"$work/s1"
"$tool" verify-pattern "$work/p6" 5 >/dev/null || { echo "vda6 was not written where it belongs"; exit 1; }
"$tool" verify-pattern "$work/s1" 6 >/dev/null || { echo "the slice was not written where it belongs"; exit 1; }
dd if=/dev/zero of="$work/mbr.img" bs=512 seek=12288 count=4096 conv=notrunc status=none
dd if=/dev/zero of="$work/mbr.img" bs=512 seek=4094 count=2 conv=notrunc status=none
sfdisk -d "$work/mbr.img" | cmp - "$work/mbr.before" || { echo "the table was changed"; exit 1; }
truncate -s 16M "$work/want.img"
sfdisk -q --no-reread "$work/want.img" <"$work/mbr.before"
cmp "$work/mbr.img" "$work/want.img" || { echo "something else was written"; exit 1; }
echo "partitions of a damaged GPT and of an MBR, and slices: read and written where sfdisk put them"

#!/bin/sh
# native_shell_test: the shell's commands on a bare machine. Why: the binary that is a guest must be a
# kernel by itself too, with real disks. Expected: the SHA-256 of an NVMe disk as the host has it; a
# pattern on a virtio disk that the host finds there as its definition says; a bad sector named; keys and
# wrong input answered; halt's code as QEMU's.
. "$(dirname "$0")/lib.sh"
head -c 8388608 /dev/urandom >"$work/nvme.img"
truncate -s 4M "$work/virtio.img"
want=$(sha256sum <"$work/nvme.img" | cut -d' ' -f1)

native 32 'do="pvops; disks; sha256 nvme0n1; fill vda 77; verify vda 77; stats; halt 3" loglevel=debug fuss' \
	-drive if=none,id=n,format=raw,readonly=on,file="$work/nvme.img" -device nvme,drive=n,serial=first \
	-drive if=none,id=v,format=raw,file="$work/virtio.img" \
	-device virtio-blk-pci,drive=v,serial=second,disable-legacy=on </dev/null >"$work/log"
expect_status 7 "$work/log"
expect "$work/log" '^@ready'
expect "$work/log" 'command line: unknown word: fuss'
expect "$work/log" '^@pvops indirect=0 differing=0'
expect "$work/log" 'nvme0n1 +8192 KiB .*serial first'
expect "$work/log" "^@sha256 nvme0n1 $want"
expect "$work/log" '^@verify vda ok'
expect "$work/log" '^@exit 3'

# The host makes the pattern by itself from the definition in include/amphi/pattern.h.
python3 - "$work/virtio.img" 77 <<'P' || exit 1
import struct, sys
mask = (1 << 64) - 1
def word(seed, i):
    z = (seed + (i + 1) * 0x9e3779b97f4a7c15) & mask
    z = ((z ^ z >> 30) * 0xbf58476d1ce4e5b9) & mask
    z = ((z ^ z >> 27) * 0x94d049bb133111eb) & mask
    return z ^ z >> 31
data = open(sys.argv[1], "rb").read()
words = struct.unpack("<%dQ" % (len(data) // 8), data)
seed = int(sys.argv[2])
for i in range(0, len(words), 97):
    assert words[i] == word(seed, i), "word %d of the disk is not the pattern's" % i
P

# One wrong byte in sector 5000 is found, and ends do= with an exit code of 1 (QEMU: 3).
printf 'x' | dd of="$work/virtio.img" bs=1 seek=$((5000 * 512 + 100)) conv=notrunc 2>/dev/null
native 32 'do="verify vda 77; halt 0"' -drive if=none,id=v,format=raw,readonly=on,file="$work/virtio.img" \
	-device virtio-blk-pci,drive=v,disable-legacy=on </dev/null >"$work/log"
expect "$work/log" '^@verify vda bad 5000'
expect_status 3 "$work/log"

# At the keys: editing, wrong commands, wrong arguments.
rm "$work/log"
{
	until_said '^@ready'
	printf '\rhelx\177p\rnonsense\rsha256\rsha256 none extra\recho "a;  b" c; echo d\rfill vdz x\rhalt 300\rhalt\r'
} | native 16 '' >"$work/log"
expect_status 0 "$work/log"
expect "$work/log" '^  verify +DEV SEED'
expect "$work/log" '^nonsense: no such command'
expect "$work/log" '^usage: sha256 DEV'
expect "$work/log" '^a;  b c$'
expect "$work/log" '^d$'
expect "$work/log" '^wanted: fill DEV SEED'
expect "$work/log" '^usage: halt'
expect "$work/log" '^@exit 0'
echo "native shell: NVMe read, virtio written, pattern right on the host, wrong input answered"

#!/bin/sh
# pv_site_test: a site of a pv operation that is not what it should be is found and named. Why: the kernel rewrites its own
# text, and what it rewrites must be what it was compiled to; text that changes later is a fault of memory or an attack.
# Expected: with one byte of a site changed in the image the kernel stops at the start and says function, operation and
# the bytes expected and found; changed in the running kernel (by QEMU's debug port) `pvops verify` says the same; the
# numbers of both are 0 before.
. "$(dirname "$0")/lib.sh"
# Prints address, file offset, operation's number and room of the first site that begins with its call, from the middle
# of the table on.
site() {
	python3 - "$BUILD/amphi" "$(nm "$BUILD/amphi" | sed -n 's/ . pv_sites_start$//p')" "$(nm "$BUILD/amphi" | sed -n 's/ . pv_sites_end$//p')" <<-'P'
	import struct, sys
	elf = open(sys.argv[1], "rb").read()
	first, end = int(sys.argv[2], 16), int(sys.argv[3], 16)
	off, size, n = struct.unpack_from("<Q", elf, 32)[0], *struct.unpack_from("<HH", elf, 54)
	def at(va):
	    for i in range(n):
	        kind, _, offset, start, _, length = struct.unpack_from("<IIQQQQ", elf, off + i * size)[:6]
	        if kind == 1 and start <= va < start + length:
	            return offset + va - start
	    sys.exit("not in the image: %x" % va)
	record = first + (end - first) // 16 * 8
	distance, op, room, kind = struct.unpack_from("<iHBB", elf, at(record))
	while kind == 4:  # PV_OPERAND
	    record += 8
	    distance, op, room, kind = struct.unpack_from("<iHBB", elf, at(record))
	va = record + distance
	print("%x %d %d %d" % (va, at(va), op, room))
	P
}
# poke ADDRESS OFFSET BYTE: through the debug port of the machine that listens at $work/gdb.
poke() {
	python3 - "$work/gdb" "$1" "$2" "$3" <<-'P'
	import socket, sys
	s = socket.socket(socket.AF_UNIX)
	s.connect(sys.argv[1])
	s.settimeout(20)
	def say(text, wanted):
	    s.sendall(b"$%s#%02x" % (text, sum(text) & 255))
	    answer = b""
	    while wanted not in answer:  # that the machine stands still is told too, unasked
	        answer += s.recv(100)
	    s.sendall(b"+")
	say(b"?", b"thread:")
	say(b"M%x,1:%s" % (int(sys.argv[2], 16) + int(sys.argv[3]), sys.argv[4].encode()), b"$OK#")
	say(b"D", b"$OK#")
	P
}
read -r va offset op room <<E
$(site)
E
[ "$room" ] || { echo "the records of sites could not be read"; exit 1; }

# In the image: the second byte of the call through the table.
cp "$BUILD/amphi" "$work/amphi"
printf '\220' | dd of="$work/amphi" bs=1 seek=$((offset + 1)) conv=notrunc 2>/dev/null
KERNEL=$work/amphi native 32 'do="halt 0"' </dev/null >"$work/log"
expect "$work/log" "a pv site is not what it was compiled to: 0x$va [a-z_]+.*\+[0-9]+ [a-z]+\.[a-z_0-9]+: expected ff 15 .*, found ff 90 "
grep -q '^@ready' "$work/log" && { echo "it went on all the same"; exit 1; }

# In the running kernel: the site's last byte.
rm "$work/log"
mkfifo "$work/keys"
native 32 'do="pvops verify"' -gdb "unix:path=$work/gdb,server=on,wait=off" <"$work/keys" >"$work/log" &
{
	until_said '^@pvops indirect=0 differing=0'
	poke "$va" $((room - 1)) cc
	printf 'pvops verify\rhalt 0\r'
} >"$work/keys"
wait
expect "$work/log" "^differs: 0x$va [a-z_]+.*\+[0-9]+ [a-z]+\.[a-z_0-9]+: expected .*, found .* cc\$"
expect "$work/log" '^@pvops indirect=0 differing=1'
sed -n 's/.*not what it was compiled to: //p; s/^differs: //p' "$work/log" | cut -c1-100

# many.sh: a service domain with much to serve: the memory that 16 disks of 4 queues each take, all in use, and what a read of a
# second guest's takes while a first one floods the disk. Ours on amphi-hv; instructions count as time does.
# The flood is 64 reads of 4 KiB in flight, always; the second guest has 32. One processor does the work of all three domains, the flood's own
# included, so the two figures do not tell what share of the disk the second guest has: shares.sh does. Not here: limits that a domain file sets. Taken in by tests/bench.sh; lib.sh has the words.
. tests/lib/archive.sh
many_run() { # many_run NAME SERVICE-MIB: what ar_* has put together
	ar_file /amphi "$BUILD/amphi"
	ar_pack "$work/archive"
	in_qemu 300 "$work/$1" -m 400 -kernel "$BUILD/amphi-hv" -append "dom0_mem=$2M" \
		-initrd "$BUILD/amphi role=service do=\"stats\",$work/archive"
	grep -q '^@exit 0' "$work/$1" || { tail -n 40 "$work/$1"; echo "bench: the guests did not end well ($1)"; exit 1; }
}
many_guest() { # many_guest NAME MIB VCPUS DISKS WORDS
	printf 'name = "%s"\nkernel = "/amphi"\nmemory = %s\nvcpus = %s\ndisk = [%s]\ncmdline = '"'role=guest do=\"%s; halt\"'\n" \
		"$1" "$2" "$3" "$4" "$5" | ar_domain "$1"
}

ar_new
# 32 pages of the guest for each disk: its grant table has 2048 entries, and 512 of them are rings.
disks='' words=''
for d in a b c d e f g h i j k l m n o p; do
	disks="$disks\"ram0,raw,xvd$d,rw\", "
	words="$words; bench random xvd$d 32 500; bench read xvd$d 1 4 128"
done
many_guest many 128 4 "$disks" "disks$words; stats"
many_run many 48
connected=$(grep -c 'backend/vbd.* 4 queues' "$work/many")
memory=$(sed -n 's/^@stat memory_kib=\([0-9]*\) free_kib=.*/\1/p' "$work/many" | tail -n 1)
least=$(sed -n 's/^@stat memory_kib=.* free_kib=\([0-9]*\).*/\1/p' "$work/many" | sort -n | head -n 1)
echo "a service domain with much to serve"
[ "$connected" = 16 ] || { grep backend/vbd "$work/many"; echo "bench: not 16 disks of 4 queues but $connected"; exit 1; }
figure "  memory, KiB: 16 disks of 4 queues each, all used" "$memory" 49152
figure "    of it in use, at most" $((memory - least))

disk='"ram0,raw,xvda,rw"'
ar_new
many_guest second 12 1 "$disk" 'bench random xvda 32 10000'
many_run alone 32
ar_new
many_guest first 12 1 "$disk" 'bench random xvda 64 60000'
many_guest second 12 1 "$disk" 'sleep 20; bench random xvda 32 10000; echo ready'
many_run flooded 32
ended=$(grep -n '^\[second\] @bench' "$work/flooded" | cut -d: -f1)
[ "$(grep -n '^\[first\] @bench' "$work/flooded" | cut -d: -f1)" -gt "$ended" ] || { echo "bench: the flood ended first"; exit 1; }
alone=$(get "$work/alone" '@bench random dev=xvda' ticks_per_io)
flooded=$(get "$work/flooded" '^\[second\] @bench random dev=xvda' ticks_per_io)
figure "  a second guest's 4 KiB read while a first floods, and alone" "$flooded $alone"

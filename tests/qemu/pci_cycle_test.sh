#!/bin/sh
# pci_cycle_test: an NVMe is given to a domain of amphi-hv and taken from it over and over, behind an emulated VT-d: in the middle of its
# boot, while it reads, with its own memory mapped from the start, and by IO spaces that it fills itself. Why: tables, vectors, references of pages and
# ports are made for each owner, and one that stays is missed after a month. Expected: pages of the hypervisor and among them its IOMMUs', vectors, pirqs and
# remapped interrupts, pages of the service domain, grants, ports and nodes are where they were; the next owner reads the right
# bytes; no fault is told. CYCLES (4) is how many of each of the five kinds; `make soak` has two hundred: more vectors than there are.
# timeout: 240
BUILD=${BUILD:-build}
many=${CYCLES:-4}
work=$(mktemp -d)
trap '{ [ ! -f "$work/pid" ] || kill "$(cat "$work/pid")"; rm -rf "$work"; } 2>/dev/null' EXIT
. tests/lib/archive.sh

strip -g -o "$work/amphi" "$BUILD/amphi"
head -c 4M /dev/urandom >"$work/a.img"
sum=$(sha256sum <"$work/a.img" | cut -d' ' -f1)
fail() { echo "$1:"; grep -v '^\[g\]\|^@domain [gh] id\|reset (possible' "$work/log" | tail -n 40; exit 1; }

ar_file /amphi "$work/amphi"
for d in 'g enabled' 'h disabled'; do
	set -- $d
	ar_domain "$1" <<-C
	name = "$1"
	kernel = "/amphi"
	memory = 16
	cmdline = 'role=guest do="repeat 100000 sha256 nvme0n1"'
	passthrough = "$2"
	pci = ["00:04.0"]
	C
done
sed -i 's/^domain /spare /' "$work/ar/manifest" # made by the commands alone
ar_pack "$work/archive"
mkfifo "$work/keys"
timeout -k 5 $((120 + 20 * many)) qemu-system-x86_64 -M q35,kernel-irqchip=split -accel tcg,thread=single -cpu max -m 128 -nodefaults -display none -no-reboot \
	-pidfile "$work/pid" -serial stdio -monitor none -device intel-iommu -kernel "$BUILD/amphi-hv" -append dom0_mem=32M \
	-initrd "$BUILD/amphi role=service stay do=\"cycle g $many; cycle g $many 300; cycle g $many 800; cycle h $many 300; cycle h $many 800; echo =last; create g\",$work/archive" \
	-drive "if=none,id=a,format=raw,file=$work/a.img" -device nvme,serial=given,drive=a,addr=4 <"$work/keys" 2>&1 |
	stdbuf -oL tr -d '\r' >"$work/log" &
machine=$!
exec 3>"$work/keys"
reads() { # reads DOMAIN: the last one of it has read its disk
	until sed -n '/^=last/,$p' "$work/log" | grep -q "^\[$1\] .*@sha256 nvme0n1"; do kill -0 $machine 2>/dev/null || fail "the last $1 reads nothing"; sleep 0.1; done
}
reads g
printf '%s\n' 'destroy g' 'create h' >&3
reads h
printf '%s\n' 'destroy h' pci-assignable halt >&3
exec 3>&-
wait
[ "$(grep -c "^@cycle ok [gh] $many\$" "$work/log")" = 5 ] || fail "something is left"
# Between owners somebody has vectors still: what is counted is not nothing.
for what in 'interrupt vectors' pirqs 'remapped interrupts' 'pages of IOMMUs'; do
	[ "$(grep -cE "^  in use: $what: [1-9]" "$work/log")" = 5 ] || fail "$what are not counted"
done
for d in g h; do grep -q "^\[$d\] .*@sha256 nvme0n1 $sum" "$work/log" || fail "$d did not read its disk"; done
! grep -E 'may not (read|write)|does not come back|does not take it back|has failed' "$work/log" || fail "this should not be said"
grep -q '^00:04.0 .* free ' "$work/log" || fail "the function is not free"
echo "an NVMe had $((5 * many + 12)) owners one after another: nothing left"

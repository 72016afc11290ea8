#!/bin/sh
# isolation_test: a guest that owns two NVMe controllers and an e1000e has each reach where it may not: (a) a page of another domain, (b) the hypervisor,
# (c) an own page after its unmap, (d) a granted page after the grant ended, (e) a page granted for reading, to write, (f) a page mapped for another function, (g) an
# interrupt that is not its own. Why: that a device is held back is shown with the device, in the hands of who means harm, or not at all. Expected: behind VT-d and AMD-Vi
# each is refused, the victim's page has its checksum, hypervisor and owner are told of the fault (VT-d; QEMU's AMD-Vi tells nobody), with the grant; pages that are
# mapped or granted are written, so the weapon is loaded. A device that does nothing but faults loses the bus; others' I/O goes on. Without a unit the domain
# is refused the device; with iommu=off it is given with a warning, and hits the victim. What the device says of it is no measure: some are done with a write that got
# nowhere. The rows printed are docs/iommu.md's.
# timeout: 240
set -u
BUILD=${BUILD:-build}
tool=$BUILD/amphi-tool
work=$(mktemp -d)
machine= session= whose=
trap 'kill $machine $session 2>/dev/null; wait; rm -rf "$work"' EXIT
. tests/lib/archive.sh
qemu=$(qemu-system-x86_64 --version | sed -n 's/.*version \([0-9]*\).*/\1/p')
fail() { echo "$unit: $*"; echo "--- machine:"; tail -n 60 "$work/log" | cut -c1-240; exit 1; }
logs() { # logs REGEX [TIMES]: waits for so many lines of the machine
	for _ in $(seq 1200); do
		[ "$(grep -cE -- "$1" "$work/log")" -lt "${2:-1}" ] || return 0
		sleep 0.05
	done
	fail "waited for /$1/"
}
start() { # start HV-WORDS [QEMU...]
	words=$1; shift
	rm -f "$work/in" "$work/keys"; mkfifo "$work/in" "$work/keys"; : >"$work/log"
	timeout -k 5 100 qemu-system-x86_64 -M q35,kernel-irqchip=split -accel tcg -cpu max -m 192 -nodefaults -display none -no-reboot -serial stdio -monitor none \
		-chardev "socket,id=ctl,path=$work/ctl,server=on,wait=off" -serial chardev:ctl \
		-drive "if=none,id=a,format=raw,file=$work/a" -device nvme,drive=a,serial=a,addr=4 \
		-drive "if=none,id=b,format=raw,file=$work/b" -device nvme,drive=b,serial=b,addr=5 \
		-drive "if=none,id=c,format=raw,file=$work/c" -device nvme,drive=c,serial=c,addr=7 \
		-netdev hubport,id=n,hubid=0 -device e1000e,netdev=n,addr=6 \
		-kernel "$BUILD/amphi-hv" -append "dom0_mem=48M $words" -initrd "$BUILD/amphi role=service stay,$work/archive" "$@" \
		<"$work/in" 2>&1 | stdbuf -oL tr -d '\r' >"$work/log" &
	machine=$!
	exec 8>"$work/in"
}
let_go() {
	[ "$whose" ] || return 0
	printf '\035' >&9
	exec 9>&-
	wait $session
	whose= session=
}
stop() {
	let_go
	echo halt >&8
	exec 8>&-
	wait $machine
	machine=
}
types() { # types GUEST LINE REGEX: at its console; sets $said to the first line after it that is so
	if [ "$whose" != "$1" ]; then
		let_go
		"$tool" ctl --socket "$work/ctl" --timeout 90 console "$1" <"$work/keys" >"$work/typed" 2>&1 &
		session=$!
		exec 9>"$work/keys"
		whose=$1
	fi
	before=$(wc -l <"$work/log")
	printf '%s\n' "$2" >&9
	for _ in $(seq 1200); do
		said=$(tail -n +$((before + 1)) "$work/log" | sed -n "s/^\\[$1\\] //p" | grep -E -m 1 -- "$3") && return 0
		sleep 0.05
	done
	fail "$1: $2: no /$3/"
}
sum() { # sets $sum to the checksum of the victim's page
	types victim dma-page '^@dma-page 0x'
	sum=${said##* }
}
row() { # row ROW DEVICE WHAT FAULT: a line of the table, once the victim's page was looked at
	printf '%-11s | %s | %-6s | %-38s | blocked | unchanged | %s\n' "${unit%%,*}" "$1" "$2" "$3" "$4"
}
untouched() {
	sum
	[ "$sum" = "$first_sum" ] || fail "the victim's page has changed"
}
news() { # news REGEX: waits for a line of the machine since the shot
	for _ in $(seq 1200); do
		tail -n +$((mark + 1)) "$work/log" | grep -qE -- "$1" && return 0
		sleep 0.05
	done
	fail "waited for /$1/ after the shot"
}
shoot() { # shoot BDF WORDS REGEX: harm's device
	mark=$(wc -l <"$work/log")
	types harm "dma-try $1 $2" "^@dma-try $3"
}
told() { # told BDF ADDRESS WORDS REGEX [GRANT]: shoots, and both are told, if this unit tells. Sets $fault. The hypervisor has eight lines a second for each
	# function, so it may need another second
	fault="(this unit tells nothing)"
	for _ in $(seq 100); do
		shoot "$1" "$3" "$4"
		case $unit in amd*) return ;; esac
		news "^\\[harm\\] .*iospace: $1 may not write $2\$"
		[ $# = 4 ] || news "^\\[harm\\] .*iospace: that is $5\$"
		fault=$(tail -n +$((mark + 1)) "$work/log" | sed -n "s/^\\[hv\\] iommu: \\(domain 2: $1 may not write $2\\): .*/\\1/p" | head -n 1)
		[ ! "$fault" ] || break
		sleep 0.1
	done
	[ "$fault" ] || fail "the hypervisor said nothing of $2"
	fault=$fault${5+, $5}
}
grants() { # grants [readonly]: the victim its page; sets $ref
	types victim "dma-grant 2 $*" '^@dma-grant [0-9]'
	ref=${said##* }
}
rows() { # rows DEVICE BDF
	shoot $2 mapped 'mapped: the page is written'
	told $2 "${at#0x}" "address $at" 'address '
	untouched; row a "$1" "another domain's page" "$fault"
	told $2 100000 'address 0x100000' 'address '
	row b "$1" 'the hypervisor' "$fault"
	told $2 '[0-9a-f]*' unmapped 'unmapped: the page is as it was'
	row c "$1" 'own page, unmapped' "$fault"
	shoot $2 flushed 'flushed: the page is as it was'
	grants
	shoot $2 "granted 1 $ref" 'granted: the page is written'
	dma=$(tail -n +$((mark + 1)) "$work/log" | sed -n 's/.*@dma-try granted 0x\([0-9a-f]*\): .*/\1/p')
	sum; [ "$sum" != "$first_sum" ] || fail "a granted page was said to be written, and is not"
	types victim 'dma-grant end' '^@dma-grant ended'
	told $2 "$dma" "address 0x$dma" 'address '
	untouched; row d "$1" 'granted page, the grant ended' "$fault"
	grants readonly
	told $2 "$dma" "readonly 1 $ref" 'readonly: the page is as it was' "grant $ref of domain 1"
	untouched; row e "$1" 'page granted for reading, written' "$fault"
	types victim 'dma-grant end' '^@dma-grant ended'
	if [ "$1" = NVMe ]; then # an e1000e has mapped many pages of its own, at the same addresses
		told $2 '[0-9a-f]*' 'other 00:05.0' 'other: the page is as it was'
		row f "$1" 'page mapped for another function' "$fault"
	fi
	shoot $2 mapped 'mapped: the page is written'
}
message() { # message WHAT EXPECTED [REASON QEMUS]: the unit's, where it records what it refuses, and QEMU's own word where not
	mark=$(wc -l <"$work/log")
	types harm "dma-message 00:04.0 $1" "^@dma-message ${1%% *}: "
	[ "${said#*: }" = "$2" ] || fail "$1: ${said#*: }"
	[ "$2" = 'nothing came' ] || return 0
	fault="(this unit tells nothing)"
	if [ "$unit" = "$vtd" ] && [ "$qemu" -lt 9 ]; then
		news "vtd_irte_get: $4"
		fault="of QEMU: $4"
	elif [ "$unit" = "$vtd" ]; then
		news "^\\[hv\\] iommu: domain 2: 00:04.0 may not send interrupt .*: $3\$"
		news '^\[harm\] .*iospace: 00:04.0 may not send interrupt'
		fault="domain 2: 00:04.0 may not send interrupt: $3"
	fi
	row g NVMe "interrupt: $3" "$fault"
}
messages() {
	message own 'it came'
	message nobodys 'nothing came' 'no such entry' 'detected non-present IRTE'
	message 'other 00:05.0' 'nothing came' 'an entry of another function' 'invalid IRTE SID'
	message own 'it came'
}
old_form() { # which QEMU lets by, whatever the unit was told: docs/iommu.md
	types harm 'dma-message 00:04.0 old' '^@dma-message old: '
	case $said in *'nothing came') fault=blocked ;; *) fault='let by, by QEMU' ;; esac
	echo "${unit%%,*} | g | NVMe   | interrupt of the old form              | $fault"
}
storm() { # 00:04.0 faults until it is stopped; the victim's disk and harm's other controller do not notice
	types victim 'fill xvda 7' '^@fill xvda'
	mark=$(wc -l <"$work/log")
	printf "repeat 100000 'verify xvda 7; sleep 20'\\n" >&9
	logs '^\[victim\] @verify xvda ok' 2
	types harm 'dma-try 00:04.0 storm 0x100000 1000000' '^@dma-try storm: .* did not answer'
	news '^\[hv\] iommu: 00:04.0 does nothing but faults: it may not master the bus'
	n=$(grep -c '^\[victim\] @verify xvda ok' "$work/log")
	logs '^\[victim\] @verify xvda ok' $((n + 3))
	! grep -E '^\[victim\] .*(@verify xvda bad|has failed)' "$work/log" || fail "the victim's disk is not as it was"
	from=$mark
	shoot 00:05.0 mapped 'mapped: the page is written'
	mark=$from
	hv=$(tail -n +$((mark + 1)) "$work/log" | grep -c '^\[hv\] iommu: .*00:04.0 may not write 100000')
	own=$(tail -n +$((mark + 1)) "$work/log" | grep -c '^\[harm\] .*iospace: 00:04.0 may not write')
	seconds=$(tail -n +$((mark + 1)) "$work/log" | grep -c '^\[hv\] iommu: 00:04.0: .* more faults')
	[ "$hv" -le $((8 * (seconds + 2))) ] && [ "$own" -ge 1 ] && [ "$own" -le 32 ] || fail "$hv lines of the hypervisor's in $seconds seconds, $own of the owner's"
	echo "storm: stopped; $hv lines of the hypervisor's, $own of the owner's; the victim's disk went on"
}

truncate -s 1M "$work/a" "$work/b" "$work/c"
strip -g -o "$work/amphi" "$BUILD/amphi"
ar_file /amphi "$work/amphi"
ar_domain victim <<C
name = "victim"
kernel = "/amphi"
memory = 16
cmdline = "role=guest"
disk = ['nvme2n1,raw,xvda,w']
C
ar_domain harm <<C
name = "harm"
kernel = "/amphi"
memory = 32
cmdline = "role=guest iommu=strict"
pci = ['00:04.0', '00:05.0', '00:06.0']
pci_topology = "passthrough"
C
ar_pack "$work/archive"
begin() { # the domains are there; sets $at and $first_sum
	logs '^\[victim\] @ready'
	logs '^\[harm\] @ready'
	sum; first_sum=$sum
	at=$(echo "$said" | cut -d' ' -f2)
}

vtd=intel-iommu,intremap=on
unit=$vtd
start iommu_faults=300 -device $unit
begin
rows NVMe 00:04.0
old_form
messages
rows e1000e 00:06.0
storm
stop
unit=amd-iommu,intremap=on
[ "$qemu" -lt 9 ] || unit=$unit,pt=off # which otherwise has DMA pass
start '' -device $unit
begin
rows NVMe 00:04.0
messages
shoot 00:04.0 'address 0xfee00000' 'address '
rows e1000e 00:06.0
stop

unit=none
start ''
logs '00:04.0 is not given to domain 2: no IOMMU would keep it from all memory'
logs '^@domain harm exit 1'
stop
start iommu=off -device intel-iommu
logs 'warning: iommu=off: domain 2 can reach all memory by 00:04.0'
begin
shoot 00:04.0 "address $at" 'address .* the device says done'
sum; [ "$sum" != "$first_sum" ] || fail "it was said to be written, and is not"
stop
echo "without a unit: refused; with iommu=off: given with a warning, and the victim is hit"

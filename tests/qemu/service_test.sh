#!/bin/sh
# service_test: a service domain on amphi-hv runs a set of domains of which most are wrong in some way.
# Why: what one domain does or lacks must be said with its name, and must not touch the others.
# Expected: each wrong file, kernel, disk and size is named; a guest that panics counts 128 + 3, one that
# halts its own code; on_reboot and on_crash do as they say; the machine ends with the worst code.
# timeout: 90
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/lib/archive.sh

# Time is counted in instructions: a busy machine does not make a domain late.
hv() { # hv ARGS: the service domain's words in $work/log
	timeout -k 5 180 qemu-system-x86_64 -M q35 -accel tcg -icount shift=0,sleep=off -cpu max -m 128 -nodefaults -display none -no-reboot \
		-serial stdio -monitor none -kernel "$BUILD/amphi-hv" -append dom0_mem=32M \
		-initrd "$BUILD/amphi dma_panic role=service $1,$work/archive" </dev/null 2>&1 | tr -d '\r' >"$work/log"
}
expect() {
	grep -qE -- "$1" "$work/log" && return
	echo "expected /$1/ in:"; tail -n 80 "$work/log"; exit 1
}
guest() { # guest NAME DO [LINE...]: a domain of our kernel that runs these commands
	name=$1 do=$2; shift 2
	{
		printf 'name = "%s"\nkernel = "/amphi"\nmemory = 8\n' "$name"
		printf "cmdline = 'role=guest do=\"%s\"'\n" "$do"
		for line; do echo "$line"; done
	} | ar_domain "$name"
}

strip -g -o "$work/amphi" "$BUILD/amphi"
echo '#!/bin/sh' >"$work/script"
ar_file /amphi "$work/amphi"
ar_file /script "$work/script"
ar_file /true /bin/true

guest first 'sleep 400; halt 0'
guest crasher 'crash'
guest three 'halt 3'
guest small 'mem; halt 4'
sed -i 's/memory = 8/memory = 4/' "$work/ar/domains/small.cfg"
guest kept 'crash' 'on_crash = "preserve"'
guest script 'halt'; sed -i 's,/amphi,/script,' "$work/ar/domains/script.cfg"
guest true 'halt'; sed -i 's,/amphi,/true,' "$work/ar/domains/true.cfg"
guest lost 'halt'; sed -i 's,/amphi,/lost,' "$work/ar/domains/lost.cfg"
guest typo 'halt' 'memroy = 8'
guest large 'halt'; sed -i 's/memory = 8/memory = 100000/' "$work/ar/domains/large.cfg"
guest nodisk 'halt' 'disk = ["/no.img,raw,xvda"]'
guest alias 'halt'; sed -i 's/"alias"/"first"/' "$work/ar/domains/alias.cfg"
echo "nonsense in the manifest" >>"$work/ar/manifest"
echo "domain ghost domains/ghost.cfg" >>"$work/ar/manifest"
ar_pack "$work/archive"
hv ''
# Of the machine's own controllers none is given up: the AHCI's registers are a page beside the IOAPIC's.
grep 'not usable' "$work/log" && exit 1
expect "error: script: kernel '/script' is not an ELF file"
expect "error: true: kernel '/true' is an image without Xen notes"
expect "error: lost: kernel '/lost': ENOENT"
expect "error: domains/typo.cfg:5:1: error: unknown key 'memroy'"
expect 'error: large: memory: 102400000 KiB asked for, [0-9]+ KiB are free'
expect "error: nodisk: disk xvda '/no.img': ENOENT"
expect "error: alias: its file calls it 'first'"
expect 'error: manifest:[0-9]+: not understood'
expect 'error: ghost: no such domain in the boot archive'
for name in script true lost typo large nodisk alias ghost; do
	expect "^@domain $name exit 1"
done
expect '^\[crasher\] .*panic: somebody typed crash'
expect '^\[crasher\] .*#0 .* crash\+0x'
expect '^@domain crasher exit 131'
expect '^@domain three exit 3'
expect '^\[small\] memory 4096 KiB'
expect '^@domain small exit 4'
expect '^@domain kept exit 131'
expect '^@domain first exit 0'
expect '^@exit 131'

# A domain that reboots is made again, as often as it likes; `list` knows, destroy ends it.
ar_new
ar_file /amphi "$work/amphi"
guest again 'sleep 100; reboot'
ar_pack "$work/archive"
hv 'stay do="sleep 700; list; destroy again; list; create again; sleep 200; destroy again; halt 9"'
expect '^again +[0-9]+ +[a-z]+ +1 +1 +[0-9.]+ +8192 +[0-9]+ +[0-9]+ +[1-9]$'
[ "$(grep -c '^@domain again id=' "$work/log")" -ge 4 ] || { echo "it did not come back:"; cat "$work/log"; exit 1; }
expect '^@exit 9'

# No archive, or something else in its place: the shell.
echo 'no archive' >"$work/archive"
hv 'do="create ghost"'
expect 'the boot module is no archive with a manifest'
expect 'ghost: no such domain in the boot archive'
: >"$work/archive"
hv 'do="list; halt 6"'
expect 'no boot archive: no domains to begin with'
expect '^@exit 6'
echo "a set of domains, most of them wrong: each named, none in another's way"

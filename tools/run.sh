#!/bin/sh
# The main job behind `make run` and `make shell`: run.sh [--shell]. A guest reads a real disk image through the
# split driver and writes another, and fetches a file over HTTP through the service domain's network card; the host
# checks all three, and the table at the end is made of what the domains reported. DISK names the user's own image (read-only unless DISK_MODE=w).
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
work=$BUILD/run
seed=42 # as examples/guest.cfg has it
disk=${DISK:-} mode=${DISK_MODE:-r}
mkdir -p "$work"

make_image() { # a 64 MiB ext4 image with documents and one large file of random bytes
	[ -e "$work/disk.img" ] && return
	files=$work/files
	rm -rf "$files"; mkdir -p "$files/docs"
	cp ./*.md docs/*.md LICENSE "$files/docs/" 2>/dev/null || true
	head -c 41943040 /dev/urandom >"$files/random.bin"
	PATH=$PATH:/sbin:/usr/sbin mke2fs -q -t ext4 -L amphi -d "$files" "$work/disk.img.part" 64M
	mv "$work/disk.img.part" "$work/disk.img"
	rm -rf "$files"
}

fail() { echo "make run: $*" >&2; exit 1; }

if [ -z "$disk" ]; then
	make_image
	disk=$work/disk.img
fi
[ -e "$disk" ] || fail "DISK=$disk: no such file"
[ -r "$disk" ] || fail "DISK=$disk: cannot be read"
case $disk in *[\"\']*) fail "DISK=$disk: quotes in a file name cannot be written in a domain file" ;; esac
case $mode in r) access=ro ;; w) access=rw ;; *) fail "DISK_MODE=$mode: r or w" ;; esac
rm -f "$work/scratch.img"
truncate -s 16M "$work/scratch.img"

# The file that the guest fetches, and a web server for each connection to 10.0.2.100 of QEMU's own network: no port of the
# host is opened, and nothing beyond it is reached.
head -c 4194304 /dev/urandom >"$work/file"
cat >"$work/http.sh" <<EOF
while read -r line && [ \${#line} -gt 1 ]; do :; done
printf 'HTTP/1.0 200 OK\r\nContent-Length: 4194304\r\n\r\n'
exec cat "$work/file"
EOF
net="user,restrict=on,guestfwd=tcp:10.0.2.100:80-cmd:/bin/sh $work/http.sh"

# The example as it stands, with this run's kernel and disks in it; for the shell, without its job.
[ "${1:-}" = --shell ] && job=' do="[^"]*"' || job='$^'
KERNEL=$BUILD/amphi SCRATCH=$work/scratch.img DISK=$disk ACCESS=$access JOB=$job awk '
	/^kernel *=/ { $0 = "kernel = \"" ENVIRON["KERNEL"] "\"" }
	/^cmdline *=/ { sub(ENVIRON["JOB"], "") }
	/vdev=xvda/ { $0 = "\t\"vdev=xvda,format=raw,access=" ENVIRON["ACCESS"] ",target=" ENVIRON["DISK"] "\"," }
	/vdev=xvdb/ { $0 = "\t\"vdev=xvdb,format=raw,access=rw,target=" ENVIRON["SCRATCH"] "\"," }
	{ print }' examples/guest.cfg >"$work/guest.cfg"

if [ "${1:-}" = --shell ]; then
	echo "Consoles: Ctrl-A steps hypervisor -> service -> guest; 'help' lists commands, 'halt' ends a domain."
	exec "$BUILD/amphi-tool" run --interactive --net "$net" "$work/guest.cfg"
fi

mib=$(($(stat -L -c %s "$disk") / 1048576))
start=$(date +%s%N)
status=0
"$BUILD/amphi-tool" run --timeout $((60 + mib / 2)) --net "$net" --stats "$work/stats" "$work/guest.cfg" || status=$?
elapsed=$((($(date +%s%N) - start) / 1000000))

# A disk is whole sectors: the last one of a file of another size is filled with zeros.
bytes=$(stat -L -c %s "$disk")
pad=$(((512 - bytes % 512) % 512))
host=$({ cat "$disk"; head -c $pad /dev/zero; } | sha256sum | cut -d' ' -f1)
guest=$(sed -n 's/^guest @sha256 xvda //p' "$work/stats" | head -n 1)
[ -n "$guest" ] && [ "$host" = "$guest" ] && read_ok=equal || read_ok=DIFFERENT
if said=$("$BUILD/amphi-tool" verify-pattern "$work/scratch.img" $seed 2>&1); then written_ok=equal; else written_ok="DIFFERENT: $said"; fi

sum=$(sha256sum "$work/file" | cut -d' ' -f1)
grep -q "^guest @fetch .* code=200 .* sha256=$sum" "$work/stats" && fetched_ok=equal || fetched_ok=DIFFERENT

awk -f tools/run-table.awk "$work/stats"
printf '%-34s %s\n' "xvda's SHA-256, guest and host" "$read_ok ($host)"
printf '%-34s %s\n' "xvdb's bytes on the host, the seed" "$written_ok"
printf '%-34s %s\n' "SHA-256 of what came by HTTP" "$fetched_ok ($sum)"
printf '%-34s %s\n' "worst exit code of a domain" "$status"
printf '%-34s %s.%03d s\n' "the whole, on this machine's clock" $((elapsed / 1000)) $((elapsed % 1000))
[ "$status" = 0 ] && [ "$read_ok" = equal ] && [ "$written_ok" = equal ] && [ "$fetched_ok" = equal ]

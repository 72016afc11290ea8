#!/bin/sh
# service_test: our service domain as the first domain of Debian's real Xen, with guests of our kernel.
# Why: the builder and the life cycle must be right by Xen's rules, which do not forgive what our own
# hypervisor might. Expected: a guest reads its disk and writes another, as on amphi-hv; one that panics counts
# 131 and one that reboots comes back; domains made and ended many times, idle and while they read,
# leave every counter, Xen's free pages included, where it was.
# timeout: 300
. "$(dirname "$0")/lib.sh"
. "$here/../lib/archive.sh"

strip -g -o "$work/amphi" "$BUILD/amphi"
head -c 4M /dev/urandom >"$work/a.img"
truncate -s 2M "$work/b.img"
ar_file /amphi "$work/amphi"
ar_disk /a.img amphi0
ar_disk /b.img amphi1
ar_domain g <<'C'
name = "g"
kernel = "/amphi"
memory = 8
cmdline = 'role=guest do="sha256 xvda; fill xvdb 7; verify xvdb 7; halt 5"'
disk = ["/a.img,raw,xvda,ro", "/b.img,raw,xvdb,rw"]
C
ar_domain crasher <<'C'
name = "crasher"
kernel = "/amphi"
memory = 8
cmdline = 'role=guest do="crash"'
C
ar_domain again <<'C'
name = "again"
kernel = "/amphi"
memory = 6
cmdline = 'role=guest do="sleep 300; reboot"'
C
ar_pack "$work/archive"

DOM0_MIB=32 xen_begin "$BUILD/amphi" 'role=service stay loglevel=2' "$work/archive" \
	-drive "if=none,id=a,format=raw,file=$work/a.img" -device nvme,serial=amphi0,drive=a \
	-drive "if=none,id=b,format=raw,file=$work/b.img" -device nvme,serial=amphi1,drive=b
xen_said '^@domain g exit'
xen_said '^@domain crasher exit'
xen_said '^@domain again id=' 2
xen_types list 'destroy again' 'cycle g 30' 'cycle g 20 30' 'halt 9'
xen_end
expect "$work/log" "^\\[g\\] .*@sha256 xvda $(sha256sum <"$work/a.img" | cut -d' ' -f1)"
expect "$work/log" '^\[g\] .*@verify xvdb ok'
expect "$work/log" '^@domain g exit 5'
expect "$work/log" '^@domain crasher exit 131'
expect "$work/log" '^again +[0-9]+ +[a-z]+ +1 +1 +[0-9.]+ +6144 +[0-9]+ +[0-9]+ +[1-9][0-9]*$'
expect "$work/log" '^@cycle ok g 30'
expect "$work/log" '^@cycle ok g 20'
expect "$work/log" '^@exit 9'
echo "domains of real Xen made, run, restarted and ended by our dom0, nothing left"

#!/bin/sh
# save_dom0_test: our kernel as the first domain of real Xen saves a guest to a disk, lets it go on after a checkpoint, and restores it.
# Why: control/ is the same there, and what is Xen's alone is met only there: vCPU state of XSAVE, a context that is set again in a
# domain that has run, page types and tables as Xen checks them. Expected: the guest counts on through a checkpoint
# and two restores, on both vCPUs; nothing of it is left in between; what is on the disk is read by xl's tests elsewhere.
# timeout: 190
. "$(dirname "$0")/lib.sh"
. "$here/../lib/archive.sh"
strip -g -o "$work/amphi" "$BUILD/amphi"
ar_file /amphi "$work/amphi"
ar_domain g <<'C'
name = "g"
kernel = "/amphi"
memory = 16
vcpus = 2
cmdline = 'role=guest do="repeat 10000 \'cpu; echo beat %; sleep 40\'"'
C
ar_pack "$work/archive"
truncate -s 24M "$work/disk"
# With XSAVE, which lib.sh leaves out for what HVM does with it.
DOM0_MIB=32 xen_begin "$BUILD/amphi" 'role=service stay loglevel=3' "$work/archive" -cpu max,-smap,-smep,-rdtscp \
	-drive "file=$work/disk,format=raw,if=none,id=d" -device virtio-blk-pci,drive=d
goes_on() { xen_said '\[g\] beat' $(($(grep -c '\[g\] beat' "$work/log") + 4)); } # a line may stand behind what is typed
goes_on
xen_types 'save -c g vda'
xen_said '\[g\] @suspend cancelled'
goes_on
xen_types 'save g vda' list 'restore vda'
xen_said '\[g\] .*resumed in a new domain'
goes_on
xen_types 'save g vda' 'restore vda'
xen_said '\[g\] .*resumed in a new domain' 2
goes_on
xen_types 'halt 9'
xen_end
expect "$work/log" '@exit 9'
[ "$(grep -c '\[g\] @suspend cancelled' "$work/log")" = 1 ] && [ "$(grep -c '\[g\] .*resumed in a new domain' "$work/log")" = 2 ] ||
	{ echo "not what happened to it:"; tail -n 60 "$work/log"; exit 1; }
grep -A1 '^Domain-0 ' "$work/log" | grep '^g ' && { echo "it is still there when it is saved"; exit 1; }
sed -n 's/.*\[g\] beat //p' "$work/log" >"$work/beats"
[ "$(cat "$work/beats")" = "$(seq "$(tail -n 1 "$work/beats")")" ] || { echo "it does not count on:"; tail -n 80 "$work/log"; exit 1; }
[ "$(sed -n 's/.*\[g\] @cpu/@cpu/p' "$work/log" | tail -n 1)" = '@cpu count=2 online=2' ] || { echo "a vCPU is missing"; exit 1; }
echo "g counted to $(tail -n 1 "$work/beats") through a checkpoint and two restores"

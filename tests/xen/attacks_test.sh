#!/bin/sh
# attacks_test: a domain that tries what a hostile kernel would (tests/guest/pv_attacks.c), 150 attempts by name, on amphi-hv and
# on real Xen, beside a domain that works. Why: an error that differs is a guest that behaves differently, and one that is
# missing is a hole. Expected: no attempt succeeds, the answers are real Xen's but for those listed here, the domain
# beside reads its disk rightly all the while, and the attacker ends by itself.
# timeout: 400
. "$(dirname "$0")/lib.sh"
. "$here/../lib/archive.sh"

# Where we differ on purpose, with our answer, and why.
cat >"$work/ours_differ" <<'D'
map_as_no_domain: -1
map_reserved_bits: -22
pin_garbage: -22
descriptor_call_gate: -22
callbacks_non_canonical: -22
D
# map_as_no_domain: a guest does not learn which domains there are. map_reserved_bits, pin_garbage: what is wrong with the entry, or
# with the page as a table, is told before what is wrong with the frame. descriptor_call_gate: no 64-bit guest needs gates, so
# there are none to be mended. callbacks_non_canonical: real Xen takes the address and tells nobody that it did not.

# Calls that answer how much they have done: nothing. A table may be given away, but stays until it is no table any more.
cat >"$work/nothing_done" <<'D'
give_foreign: 0
give_a_table: 1
give_beyond_memory: 0
give_of_another: 0
take_too_much: 0
take_for_another: 0
take_order_63: 0
take_without_end: 0
D

tests/guest/build.sh tests/guest/pv_attacks.c "$work/attacks" || exit 1
strip -g -o "$work/amphi" "$BUILD/amphi"
head -c 2097152 /dev/urandom >"$work/disk"
want=$(sha256sum <"$work/disk" | cut -d' ' -f1)
ar_file /attacks "$work/attacks"
ar_file /amphi "$work/amphi"
ar_disk /disk amphi0
ar_domain bystander <<'C'
name = "bystander"
kernel = "/amphi"
memory = 8
cmdline = 'role=guest do="sha256 xvda; sha256 xvda; sha256 xvda; sha256 xvda; halt 0"'
disk = ['/disk,raw,xvda,ro']
C
ar_domain attacker <<'C'
name = "attacker"
kernel = "/attacks"
memory = 6
maxmem = 6
vcpus = 2
C
ar_pack "$work/archive"
disk="-drive if=none,id=a,format=raw,file=$work/disk,readonly=on -device nvme,serial=amphi0,drive=a"

for which in amphi-hv xen; do
	# shellcheck disable=SC2086
	XEN_IMAGE=$([ $which = xen ] || echo "$BUILD/amphi-hv") xen_qemu 60 300 64 "$work/amphi role=service loglevel=2,$work/archive" $disk >"$work/log.$which"
	expect "$work/log.$which" '^\[attacker\] pv_attacks: done'
	expect "$work/log.$which" '^@domain attacker exit 0'
	expect "$work/log.$which" '^@domain bystander exit 0'
	[ "$(grep -c "@sha256 xvda $want" "$work/log.$which")" = 4 ] || { echo "$which: the domain beside did not read rightly"; tail -n 40 "$work/log.$which"; exit 1; }
	sed -n 's/^\[attacker\] attack //p' "$work/log.$which" >"$work/$which"
done
grep -v ': -[0-9]*$' "$work/amphi-hv" | cmp -s - "$work/nothing_done" || { echo "attempts that worked:"; grep -v ': -[0-9]*$' "$work/amphi-hv"; exit 1; }
diff "$work/amphi-hv" "$work/xen" | sed -n 's/^< //p' | cmp - "$work/ours_differ" || { echo "answers differ (< amphi-hv, > real Xen):"; diff "$work/amphi-hv" "$work/xen"; exit 1; }
n=$(wc -l <"$work/amphi-hv")
[ "$n" -ge 150 ] || { echo "only $n attempts"; exit 1; }
echo "$n attempts refused, $((n - $(wc -l <"$work/ours_differ"))) of them in real Xen's words; nobody else noticed"

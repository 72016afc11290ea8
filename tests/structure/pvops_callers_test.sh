#!/bin/sh
# pvops_callers_test: every pv operation is called by the kernel. Why: a row that nobody calls is code that nobody has seen
# work. Expected: for each row of include/amphi/pvops.def a call of pv_NAME(), or a site written out for it, outside the
# fillings.
cd "$(dirname "$0")/../.." || exit 1
rows=$(sed -nE 's/^PV_(OP|VOID)[0-4]\([a-z]+, ([a-z0-9_]+),.*/\2/p; s/^PV_RAW\([a-z]+, ([a-z0-9_]+),.*/\1/p' include/amphi/pvops.def)
[ "$(echo "$rows" | wc -l)" -ge 60 ] || { echo "the table of operations was not understood"; exit 1; }
bad=0
for op in $rows; do
	grep -rE "\bpv_$op\(|PV_[a-z]+_$op\b" kernel hypercall drivers-native pvops/lock.c include/amphi/spinlock.h include/amphi/pvops_sites.h |
		grep -qv 'provide(' || { echo "nobody calls $op"; bad=1; }
done
[ $bad = 0 ] && echo "$(echo "$rows" | wc -l) operations, each called"
exit $bad

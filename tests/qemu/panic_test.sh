#!/bin/sh
# panic_test: the last words of a kernel. Why: a crash in the field leaves nothing else. Expected: for a
# panic and for a write to nowhere, the reason, the registers of the fault, and a backtrace whose
# lines name the functions on the way; the machine ends with the crash code (QEMU: 255).
. "$(dirname "$0")/lib.sh"

native 16 'do="crash"' </dev/null >"$work/log"
expect_status 255 "$work/log"
expect "$work/log" '^panic: somebody typed crash in thread shell'
expect "$work/log" '#0 +ffffffff80[0-9a-f]+ crash\+0x'
expect "$work/log" '#[1-9] +ffffffff80[0-9a-f]+ shell_run\+0x'
expect "$work/log" '#[2-9] +ffffffff80[0-9a-f]+ thread_start\+0x'

native 16 'do="fault"' </dev/null >"$work/log"
expect_status 255 "$work/log"
expect "$work/log" '^panic: page fault, vector 14 error 2'
expect "$work/log" 'cr2 0000000000000010'
expect "$work/log" '#0 +ffffffff80[0-9a-f]+ fault\+0x'
expect "$work/log" '#[1-9] +ffffffff80[0-9a-f]+ thread_start\+0x'

# The table's addresses are those of the image: what it calls crash is what nm calls crash.
# (The upper halves are all ones; sh counts in 63 bits.)
address=$(nm "$BUILD/amphi" | sed -n 's/^ffffffff\([0-9a-f]*\) [tT] fault$/\1/p')
line=$(sed -n 's/^  #0 *ffffffff\([0-9a-f]*\) fault+0x\([0-9a-f]*\)$/\1 \2/p' "$work/log")
[ $((0x${line% *} - 0x${line#* })) = $((0x$address)) ] || { echo "symbols are shifted: $address, $line"; exit 1; }
echo "panic: reason, registers, and callers by name"

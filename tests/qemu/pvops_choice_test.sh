#!/bin/sh
# pvops_choice_test: pvops= on a bare machine is followed where it can be and refused with the reason.
# Why: it is for debugging, and a kernel that believes what it is told would write to registers that are
# not there. Expected: native is taken without a word; kvm, xen-pv and xen-pvh are refused, each for its own
# reason, and the kernel runs natively; a platform nobody knows is a wrong word like others. timeout: 60
. "$(dirname "$0")/lib.sh"
try() { # try WISH REGEX: the prompt is reached, and the log has this
	native 16 "pvops=$1 do=\"halt 0\"" >"$work/log"
	expect "$work/log" "$2"
	expect "$work/log" 'platform=native'
	expect "$work/log" '^@exit 0'
}
try native 'amphi on native'
! grep -q 'not followed' "$work/log" || { echo "pvops=native is refused"; exit 1; }
try kvm 'pvops= is not followed: no KVM shows itself'
try xen-pv 'pvops= is not followed: .* not started by a PV'
try xen-pvh 'pvops= is not followed: no Xen shows itself'
try qemu 'no such platform: pvops=qemu'
echo "pvops= on a bare machine: followed once, refused three times, not understood once"

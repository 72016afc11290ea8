#!/bin/sh
# privileged_test: every privileged instruction of the kernel is behind a pv operation. Why: one that is not
# works on bare metal and is the end of the domain everywhere else. Expected: in the disassembly of the
# linked image such instructions stand only in the native fillings (native_*), in those of a PV domain that
# the hypervisor emulates, in the 32-bit entry, in the ways from and to ring 3 that only one platform enters, in
# the self-test's single steps (popf sets the trap flag; the interrupt flag goes back as it came, on every
# platform), and in the operations' inlined sites, of which before patching there are none.
set -u
cd "$(dirname "$0")/../.."
[ -e "$BUILD/amphi" ] || { echo "the kernel is not built"; exit 1; }
found=$(objdump -d --no-show-raw-insn "$BUILD/amphi" | awk '
	/^[0-9a-f]+ <.*>:$/ { name = substr($2, 2, length($2) - 3); next }
	$2 ~ /^(cli|sti|hlt|rdmsr|wrmsr|lgdt|lidt|lldt|ltr|invlpg|invpcid|clts|lmsw|iretq?|sysretq?|wbinvd|invd|swapgs|xsetbv|rdpmc|pushfq?|popfq?|syscall)$/ || /%cr[0-9]/ || /%dr[0-9]/ {
		if (name !~ /^(native_.*|xen_read_msr|xen_write_msr|xen_read_cr0|xen_read_cr4|xen_write_cr4|xen_write_xcr0|smp_xen_park|pvh_entry|mb2_entry|mb2_header|no_long_mode|pv_xen_iret|pv_xen_sysret|pv_native_sysret|upcall_unmasked|trap_common_native|syscall_entry_native|single_step|step_kernel|step_upcall)$/)
			print "  " name ": " $2, $3
	}')
if [ -n "$found" ]; then
	echo "privileged instructions outside pvops:"; echo "$found"; exit 1
fi
echo "every privileged instruction is behind a pv operation"

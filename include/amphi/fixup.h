/* fixup.h: an instruction that may fault, and where the kernel goes on when it does.
 *
 * For inline assembly of the kernel and of pvops; the records are gathered by the linker in section
 * trap_fixups and read by kernel/trap.c. Offsets relative to themselves: half as long as addresses, and
 * nothing to relocate. Not for code that runs before traps are set up.
 */
#ifndef AMPHI_FIXUP_H
#define AMPHI_FIXUP_H

/* When the instruction at label insn faults, or a trap of the kernel's own returns there, it goes on at
 * target, all registers as they were. */
#define TRAP_FIXUP(insn, target)                                                                   \
	".pushsection trap_fixups, \"a\"\n .balign 4\n .long " insn " - .\n .long " target         \
	" - .\n"                                                                                   \
	".popsection\n"

#endif

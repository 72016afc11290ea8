/* thin.S: C functions of a PV domain as operations that keep the registers: all of them, or all but rax.
 *
 * The sites of these operations promise the compiler that (the classes of amphi/pvops.def), so that natively,
 * where they are an instruction, nothing around them is saved for a call that is none. What that costs in a PV
 * domain is little beside what the functions do. Named in xen_pv.c's table; call xen_mmu.c and xen_queue.c. The macros
 * are keep.S's. Host tests take this file in as it is.
 */
	.include "pvops/keep.S"
	.text

	THIN_CALL thin_read_cr3, xen_read_cr3
	BARE_CALL bare_lazy_enter, xen_lazy_enter
	BARE_CALL bare_lazy_leave, xen_lazy_leave
	BARE_CALL bare_lazy_flush, xen_lazy_flush
	BARE_CALL bare_start_context_switch, xen_start_context_switch
	BARE_CALL bare_end_context_switch, xen_end_context_switch
	STORE_CALL entry_set, xen_set_entry
	STORE_CALL entry_modify_prot_commit, xen_modify_prot_commit
	STORE_CALL entry_load_sp0, xen_load_sp0
	STORE_CALL entry_write_descriptor, xen_write_descriptor
	INVLPG_CALL entry_flush, xen_flush_tlb_one
	BOTH_CALL entry_pte_val, xen_pte_val
	BOTH_CALL entry_make_pte, xen_make_pte
	.section .note.GNU-stack, "", @progbits

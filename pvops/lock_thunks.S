/* lock_thunks.S: giving a lock back where waiters may sleep.
 *
 * Bare: changes the flags only, as the sites of lock.queued_spin_unlock promise the compiler
 * (amphi/pvops.h). Filled in by pvops_provide_lock_wait(); calls lock.c when somebody is to be woken. The
 * host test takes this file in as it is.
 */
	.include "pvops/keep.S"
	.text
	.globl lock_unlock_waking

/* rdi: struct spinlock. held and sleeper are exchanged for 0 as one half word: between a look at
 * the sleeper and the release another could go to sleep and be forgotten. */
lock_unlock_waking:
	push %rax
	xor %eax, %eax
	xchg %ax, (%rdi)
	test %ah, %ah
	jnz 1f
	pop %rax
	ret
1:	ENTER_C
	movzbl %ah, %edi
	call lock_wake
	LEAVE_C
	pop %rax
	ret
	.section .note.GNU-stack, "", @progbits

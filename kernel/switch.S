/* switch.S: the step from one thread's stack to another's.
 *
 * Called by thread.c with interrupts off. Only what the C calling convention lets a function keep is
 * saved: everything else is dead at the call. No privileged instruction, so it is the same on
 * every platform; a PV domain needs stack_switch only for threads with a program (user_cpu.c).
 */
	.text

/* void thread_switch(void **save_sp, void *load_sp): pushes the registers that a function keeps, in
 * the order in which thread.c prepares a new stack, and comes back on the other stack. */
	.globl thread_switch
	.type thread_switch, @function
thread_switch:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret
	.size thread_switch, . - thread_switch
	.section .note.GNU-stack,"",@progbits

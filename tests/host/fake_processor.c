/* fake_processor.c: interrupts, idling, clock and memory for host tests of the kernel's threads.
 *
 * Linked by thread_test.c, worker_test.c and console_input_test.c. The real thread_switch runs
 * here; interrupts are a variable, and the idle processor moves the clock to the next timer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <asm/prctl.h>
#include <sanitizer/asan_interface.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <amphi/percpu.h>
#include "fake_processor.h"
#include "kernel/clock.h"
#include "kernel/mm.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "kernel/thread_cpu.h"
#include "kernel/time.h"

#define STACK_BYTES 32768u /* of thread.c */

__asm__(".include \"kernel/switch.S\"\n .text\n");

uint64_t fake_now_ns, fake_programmed_ns;
unsigned long fake_irqs_on = 1;
unsigned fake_blocks_held, fake_sendings;
static unsigned idles;

unsigned long wait_enter(void)
{
	unsigned long was = fake_irqs_on;

	fake_irqs_on = 0;
	return was;
}

void wait_leave(unsigned long flags)
{
	fake_irqs_on = flags;
}

void thread_cpu_send_held(void)
{
	fake_sendings++;
}

void thread_cpu_irqs_on(void)
{
	fake_irqs_on = 1;
}

/* gs is free in a host program: it leads to the CPU's own data here too. */
static struct percpu percpus[FAKE_CPUS];
static void *stood_at[FAKE_CPUS]; /* CPUs that are not being played */

static void be_on(unsigned cpu)
{
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, &percpus[cpu]))
		abort();
}

__attribute__((constructor)) static void set_gs(void)
{
	for (unsigned i = 0; i < FAKE_CPUS; i++)
		percpus[i] = (struct percpu){.self = &percpus[i], .cpu = i};
	be_on(0);
}

static void play(unsigned cpu)
{
	unsigned long irqs_on = fake_irqs_on;
	unsigned here = this_cpu()->cpu;

	be_on(cpu);
	fake_irqs_on = 0;
	thread_switch(&stood_at[here], stood_at[cpu]);
	fake_irqs_on = irqs_on;
}

/* As thread.c prepares a stack: six registers, where to begin, and a zero. */
void fake_cpu_start(unsigned cpu, void *stack_top)
{
	uint64_t *top = stack_top;

	/* Frames of an earlier life were left without a return. */
	__asan_unpoison_memory_region((char *)stack_top - STACK_BYTES, STACK_BYTES);
	memset(top - 8, 0, 64);
	top[-2] = (uint64_t)(uintptr_t)thread_cpu_run;
	stood_at[cpu] = top - 8;
	play(cpu);
}

void fake_cpu_step(unsigned cpu)
{
	play(cpu);
}

unsigned fake_kicks[FAKE_CPUS];

void thread_cpu_kick(unsigned cpu)
{
	fake_kicks[cpu]++;
}

unsigned fake_gone[FAKE_CPUS];

void thread_cpu_gone(void)
{
	fake_gone[this_cpu()->cpu]++;
	play(0);
	panic("a CPU that is gone came back");
}

unsigned fake_user_leaves;
void *fake_user_left;

void thread_cpu_user_leave(void *program)
{
	fake_user_leaves++;
	fake_user_left = program;
}

unsigned fake_user_loads;
void *fake_user_loaded;

void thread_cpu_user(void *program)
{
	fake_user_loads++;
	fake_user_loaded = program;
}

static void check(bool holds, const char *what)
{
	if (!holds)
		panic(what);
}

/* CPU 0 is the test's, and nothing happens while it waits but timers. Others go on when they are played. */
void thread_cpu_idle(void)
{
	check(fake_irqs_on == 0, "idle with interrupts on");
	if (this_cpu()->cpu) {
		play(0);
		return;
	}
	check(idles++ < 100000, "nobody will ever be ready");
	if (fake_programmed_ns > fake_now_ns)
		fake_now_ns = fake_programmed_ns;
	time_interrupt();
}

uint64_t time_ns(void)
{
	return fake_now_ns;
}

uint64_t fake_programmed_on[FAKE_CPUS];

void clock_program(uint64_t due_ns)
{
	fake_programmed_on[this_cpu()->cpu] = due_ns;
	if (!this_cpu()->cpu)
		fake_programmed_ns = due_ns;
}

void *pages_alloc(unsigned n)
{
	void *p = aligned_alloc(PAGE_SIZE, n * PAGE_SIZE);

	fake_blocks_held++;
	return memset(p, 0, n * PAGE_SIZE);
}

void pages_free(void *va, unsigned n)
{
	fake_blocks_held--;
	free(va);
}

void *kmalloc(size_t size_bytes)
{
	fake_blocks_held++;
	return calloc(1, size_bytes);
}

void kfree(void *p, size_t size_bytes)
{
	fake_blocks_held--;
	free(p);
}

void panic(const char *fmt, ...)
{
	fprintf(stderr, "panic: %s\n", fmt);
	abort();
}

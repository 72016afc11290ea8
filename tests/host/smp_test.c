/* smp_test.c: CPUs come, call each other, and go, each a thread of the host: the real races on a made-up platform.
 *
 * Shows: states and errors of smp.h; that a call reaches a CPU that is idle, in ring 3 or waiting for the lock, and
 * is done when it returns; that one CPU at a time is in the kernel, whatever the others do; that threads which may
 * move run on all CPUs and lose no turn while CPUs are taken out and brought back under them; that mappings others
 * have changed are flushed. Why: the kernel has no other lock. Interrupts here are kicks and timers, taken where a
 * CPU idles or is in ring 3. Expected: all hold.
 *
 * links: kernel/smp.c kernel/kernel_lock.c kernel/thread.c kernel/thread_home.c kernel/timers.c pvops/lock.c lib/error_name.c
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>
#include <unistd.h>
#include <asm/prctl.h>
#include <sanitizer/asan_interface.h>
#include <sys/syscall.h>
#include <cmocka.h>

#include <amphi/pvops.h>
#include "kernel/boot.h"
#include "kernel/clock.h"
#include "kernel/cmdline.h"
#include "kernel/console.h"
#include "kernel/kernel_lock.h"
#include "kernel/kvm_guest.h"
#include "kernel/lock_wait.h"
#include "kernel/mm.h"
#include "kernel/panic.h"
#include "kernel/smp.h"
#include "kernel/thread.h"
#include "kernel/thread_cpu.h"
#include "kernel/time.h"
#include "kernel/trap_parts.h"
#include "kernel/user.h"
#include "pvops/lock.h"
#include "pvops/lock_relax.h"

#define CPUS        4u
#define STACK_BYTES 32768u /* of thread.c */

__asm__(".include \"kernel/switch.S\"\n .text\n"
	"thin_nothing: xor %eax, %eax\n ret\n"
	"thin_unlock: movb $0, (%rdi)\n ret\n"
	"stacked_save: push (%rsp)\n pushfq\n pop 8(%rsp)\n ret\n"
	"stacked_restore: ret $8\n");
void thin_nothing(void), thin_unlock(void), stacked_save(void), stacked_restore(void);

struct pv_ops pv_ops;
struct boot_info boot;
struct cmdline cmdline;
struct percpu trap_percpus[CPUS_MAX];

/* ---- a processor --------------------------------------------------------------------------- */

static struct machine_cpu {
	pthread_t thread;
	sem_t kicks;
	void *own_sp, *sp; /* of the host's thread, and where it is to begin */
	uint64_t due_ns;
	bool parked;
	unsigned online, offline;
} machine[CPUS];

static struct machine_cpu *here(void)
{
	return &machine[this_cpu()->cpu];
}

static void be(unsigned cpu)
{
	trap_percpus[cpu].self = &trap_percpus[cpu];
	assert_int_equal(syscall(SYS_arch_prctl, ARCH_SET_GS, &trap_percpus[cpu]), 0);
}

void lock_relax(void)
{
	sched_yield();
}

unsigned long wait_enter(void)
{
	assert_true(kernel_locked());
	return 0;
}

void wait_leave(unsigned long flags) {}

void thread_cpu_irqs_on(void) {}
void thread_cpu_send_held(void) {}

/* Until a kick or the timer, a millisecond at most. true: a kick. */
static bool wait_for_interrupt(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	return !sem_timedwait(&here()->kicks, &until);
}

static int in_kernel;

/* Between these two nobody else is. */
static void came_in(void)
{
	assert_int_equal(__atomic_add_fetch(&in_kernel, 1, __ATOMIC_SEQ_CST), 1);
}

static void goes_out(void)
{
	assert_int_equal(__atomic_sub_fetch(&in_kernel, 1, __ATOMIC_SEQ_CST), 0);
}

void thread_cpu_idle(void)
{
	goes_out();
	kernel_unlock();
	(void)wait_for_interrupt();
	kernel_lock();
	came_in();
	time_interrupt();
}

void thread_cpu_kick(unsigned cpu)
{
	smp_kick(cpu);
}

void thread_cpu_gone(void)
{
	smp_leave();
}

void thread_cpu_user(void *program) {}

void thread_cpu_user_leave(void *program) {}

uint64_t time_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* A look each millisecond is enough of a timer. */
void clock_program(uint64_t due_ns)
{
	here()->due_ns = due_ns;
}

void time_cpu_online(void)
{
	came_in();
	here()->online++;
}

void time_cpu_offline(void)
{
	here()->offline++;
}

static unsigned checks;

/* Compares the CPUs' clocks: it calls on them. */
void time_check_cpus(void)
{
	checks++;
}

void lock_wait_init(void) {}
void lock_wait_cpu_online(void) {}
void kvm_cpu_online(void) {}

void kvm_cpu_offline(void) {}

void user_cpu_online(void)
{
	assert_true(kernel_locked());
}

void user_leave_cpu(struct user_task *task)
{
	assert_null(task);
	goes_out();
}

void *pages_alloc(unsigned n)
{
	return memset(aligned_alloc(PAGE_SIZE, n * PAGE_SIZE), 0, n * PAGE_SIZE);
}

void pages_free(void *va, unsigned n)
{
	free(va);
}

void *kmalloc(size_t size_bytes)
{
	return calloc(1, size_bytes);
}

void kfree(void *p, size_t size_bytes)
{
	free(p);
}

void panic(const char *fmt, ...)
{
	fprintf(stderr, "panic: %s\n", fmt);
	abort();
}

void klog(enum log_level level, const char *fmt, ...) {}

/* ---- the platform --------------------------------------------------------------------------------- */

static int start_error;
static unsigned flushes;

static unsigned find(uint32_t *ids, unsigned max)
{
	assert_int_equal(max, CPUS_MAX);
	for (unsigned i = 0; i < CPUS; i++)
		ids[i] = i * 2;
	return CPUS;
}

static void started(void)
{
	smp_started();
}

static void *cpu_main(void *ctx)
{
	struct machine_cpu *cpu = ctx;

	be((unsigned)(cpu - machine));
	thread_switch(&cpu->own_sp, cpu->sp);
	__atomic_store_n(&cpu->parked, true, __ATOMIC_RELEASE);
	return NULL;
}

static int start(struct percpu *percpu, void *stack_top)
{
	struct machine_cpu *cpu = &machine[percpu->cpu];
	uint64_t *top = stack_top;

	if (start_error)
		return start_error;
	assert_int_equal(percpu->id, percpu->cpu * 2);
	/* Frames of an earlier life were left without a return. */
	__asan_unpoison_memory_region((char *)stack_top - STACK_BYTES, STACK_BYTES);
	memset(top - 8, 0, 64);
	top[-2] = (uint64_t)(uintptr_t)started;
	cpu->sp = top - 8;
	if (cpu->parked)
		pthread_join(cpu->thread, NULL);
	cpu->parked = false;
	assert_int_equal(pthread_create(&cpu->thread, NULL, cpu_main, cpu), 0);
	return 0;
}

static void kick(struct percpu *percpu)
{
	sem_post(&machine[percpu->cpu].kicks);
}

static void park(void) __attribute__((noreturn));
static void park(void)
{
	void *lost;

	thread_switch(&lost, here()->own_sp);
	abort();
}

static bool parked(struct percpu *percpu)
{
	return __atomic_load_n(&machine[percpu->cpu].parked, __ATOMIC_ACQUIRE);
}

static const struct smp_platform platform = {
    .find = find, .start = start, .kick = kick, .park = park, .parked = parked};

const struct smp_platform *smp_platform(void)
{
	return &platform;
}

static void flush(void)
{
	__atomic_add_fetch(&flushes, 1, __ATOMIC_RELAXED);
}

/* As a hypervisor that does it for the last CPU. */
static uint64_t flush_by_others(uint64_t cpus)
{
	return cpus & 1ull << (CPUS - 1);
}

static void kick_a_sleeper(unsigned cpu) {}

static int set_up(void **state)
{
	pv_ops.irq.save_fl = stacked_save;
	pv_ops.irq.restore_fl = stacked_restore;
	pv_ops.irq.irq_disable = thin_nothing;
	pv_ops.lock.queued_spin_lock_slowpath = lock_slow_spinning;
	pv_ops.lock.queued_spin_unlock = (void (*)(struct spinlock *))(void *)thin_unlock;
	pv_ops.lock.kick = kick_a_sleeper;
	pv_ops.mmu.flush_tlb_kernel = flush;
	pv_ops.mmu.flush_tlb_multi = flush_by_others;
	for (unsigned i = 0; i < CPUS; i++)
		sem_init(&machine[i].kicks, 0, 0);
	be(0);
	kernel_lock();
	came_in();
	thread_init();
	assert_int_equal(smp_count(), 1);
	assert_int_equal(smp_online(), 1);
	return 0;
}

/* ---- tests ------------------------------------------------------------------------------------------- */

/* Those above maxcpus= are there, and wait. */
static void found_and_started(void **state)
{
	cmdline.maxcpus = 3;
	smp_init();
	assert_int_equal(smp_count(), CPUS);
	assert_int_equal(smp_online(), 3);
	assert_int_equal(smp_state(2), SMP_ONLINE);
	assert_int_equal(smp_state(3), SMP_OFFLINE);
	assert_int_equal(smp_state(4), SMP_ABSENT);
	assert_int_equal(smp_percpu(3)->id, 6);
	assert_null(smp_percpu(4));
	assert_int_equal(machine[1].online, 1);
	start_error = -XEN_ENOMEM;
	assert_int_equal(smp_up(3), -XEN_ENOMEM);
	assert_int_equal(smp_state(3), SMP_OFFLINE);
	start_error = 0;
	assert_int_equal(smp_up(3), 0);
	assert_int_equal(checks, 3);
	assert_int_equal(smp_online(), CPUS);
}

static void wrong_numbers(void **state)
{
	assert_int_equal(smp_up(CPUS), -XEN_EINVAL);
	assert_int_equal(smp_down(CPUS), -XEN_EINVAL);
	assert_int_equal(smp_down(0), -XEN_EINVAL);
	assert_int_equal(smp_up(0), -XEN_EBUSY);
	assert_int_equal(smp_up(1), -XEN_EBUSY);
	assert_int_equal(smp_down(1), 0);
	assert_int_equal(smp_down(1), -XEN_EBUSY);
	assert_int_equal(machine[1].offline, 1);
	assert_int_equal(smp_state(1), SMP_OFFLINE);
	assert_int_equal(smp_up(1), 0);
}

static void say_where(void *ctx)
{
	*(unsigned *)ctx = this_cpu()->cpu;
}

static void count_call(void *ctx)
{
	__atomic_add_fetch(&((unsigned *)ctx)[this_cpu()->cpu], 1, __ATOMIC_RELAXED);
}

/* Each once, the caller too. */
static void all_are_called(unsigned n)
{
	unsigned count[CPUS] = {0}, sum = 0, others = 0;

	smp_call_all(count_call, count);
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		assert_true(count[cpu] <= 1);
		sum += count[cpu];
		others += smp_others() >> cpu & 1;
	}
	assert_int_equal(sum, n);
	assert_int_equal(others, n - 1);
	assert_false(smp_others() & 1);
}

static void calls(void **state)
{
	for (unsigned round = 0; round < 50; round++)
		for (unsigned cpu = 0; cpu < CPUS; cpu++) {
			unsigned where = 99;

			assert_int_equal(smp_call(cpu, say_where, &where), 0);
			assert_int_equal(where, cpu);
		}
	assert_int_equal(smp_down(2), 0);
	all_are_called(CPUS - 1);
	assert_int_equal(smp_call(2, say_where, NULL), -XEN_ENODEV);
	assert_int_equal(smp_call(9, say_where, NULL), -XEN_ENODEV);
	assert_int_equal(smp_up(2), 0);
	all_are_called(CPUS);
}

/* ---- programs --------------------------------------------------------------------------------------------- */

static unsigned running, turns, seen[CPUS];
static struct wait_queue ended;

/* Out and back in, as a program does: the lock is free meanwhile, and an interrupt leads back. */
static void in_ring_3(void)
{
	goes_out();
	kernel_unlock();
	for (unsigned i = 0; i < 5 && !wait_for_interrupt(); i++)
		;
	kernel_lock();
	came_in();
	time_interrupt();
}

/* turns is changed in two steps: only the lock makes them one. */
static void program(void *ctx)
{
	unsigned before;

	for (unsigned i = 0; i < 60; i++) {
		before = turns;
		seen[this_cpu()->cpu]++;
		sched_yield();
		turns = before + 1;
		in_ring_3();
		thread_balance();
		thread_yield();
		if (i % 8 == 0)
			thread_sleep_ns(100000);
	}
	running--;
	wait_wake(&ended);
}

static void programs(unsigned n)
{
	turns = 0;
	memset(seen, 0, sizeof(seen));
	for (running = 0; running < n; running++)
		assert_non_null(thread_create_movable("program", program, NULL));
}

static void all_cpus_take_part(void **state)
{
	programs(8);
	for (unsigned i = 0; running; i++) {
		unsigned where = 99;

		assert_int_equal(smp_call(i % CPUS, say_where, &where), 0);
		assert_int_equal(where, i % CPUS);
		thread_sleep_ns(2000000);
	}
	assert_int_equal(turns, 8 * 60);
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		assert_true(seen[cpu]);
}

static void cpus_go_and_come_under_load(void **state)
{
	programs(8);
	for (unsigned i = 0; running; i++) {
		unsigned cpu = 1 + i % (CPUS - 1);

		assert_int_equal(smp_down(cpu), 0);
		assert_int_equal(smp_state(cpu), SMP_OFFLINE);
		assert_int_equal(smp_up(cpu), 0);
	}
	WAIT_UNTIL(&ended, !running);
	assert_int_equal(turns, 8 * 60);
}

/* What was on the others, awake or asleep, goes on here. */
static void one_cpu_for_all(void **state)
{
	programs(8);
	thread_sleep_ns(5000000);
	for (unsigned cpu = 1; cpu < CPUS; cpu++)
		assert_int_equal(smp_down(cpu), 0);
	WAIT_UNTIL(&ended, !running);
	assert_int_equal(turns, 8 * 60);
	for (unsigned cpu = 1; cpu < CPUS; cpu++)
		assert_int_equal(smp_up(cpu), 0);
}

/* Each of the others flushes once, when it next comes in, however many changes there were; but the one that was
 * flushed. */
static void changed_mappings(void **state)
{
	thread_sleep_ns(5000000);
	flushes = 0;
	kernel_tlb_changed();
	kernel_tlb_changed();
	for (unsigned i = 0; i < 1000 && __atomic_load_n(&flushes, __ATOMIC_RELAXED) < CPUS - 2;
	     i++)
		thread_sleep_ns(10000000);
	thread_sleep_ns(50000000); /* for one too many */
	assert_int_equal(__atomic_load_n(&flushes, __ATOMIC_RELAXED), CPUS - 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(found_and_started),
	    cmocka_unit_test(wrong_numbers),
	    cmocka_unit_test(calls),
	    cmocka_unit_test(all_cpus_take_part),
	    cmocka_unit_test(cpus_go_and_come_under_load),
	    cmocka_unit_test(one_cpu_for_all),
	    cmocka_unit_test(changed_mappings),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}

/* commands_cpu.c: the shell's command that lists CPUs, and lets them come and go.
 *
 * Caller: shell.c. Calls smp.h. Numbers are ours: 0 is the CPU that booted, which stays.
 */
#include <amphi/error_name.h>
#include <amphi/string.h>
#include <amphi/types.h>
#include <amphi/xen.h>

#include "commands.h"
#include "console.h"
#include "shell.h"
#include "smp.h"
#include "thread.h"

/* Idle threads are not counted: they are the CPU's own. */
static void count_thread(void *ctx, const struct thread_info *info)
{
	unsigned *threads = ctx;

	if (!info->idle)
		threads[info->cpu]++;
}

static int list(void)
{
	static const char *const states[] = {"absent", "offline", "starting", "online", "leaving"};
	unsigned threads[CPUS_MAX] = {0};

	thread_for_each(count_thread, threads);
	console_printf(" cpu   id state    threads  interrupts    switches\n");
	for (unsigned cpu = 0; cpu < smp_count(); cpu++) {
		const struct percpu *percpu = smp_percpu(cpu);

		console_printf("%4u %4u %-8s %7u %11llu %11llu\n", cpu, percpu->id,
			       states[smp_state(cpu)], threads[cpu],
			       (unsigned long long)percpu->irq_count,
			       (unsigned long long)thread_cpu_switches(cpu));
	}
	console_printf("@cpu count=%u online=%u\n", smp_count(), smp_online());
	return 0;
}

/* What smp.h's errors mean here. */
static int answer(uint64_t cpu, bool online, int error)
{
	if (error == -XEN_EBUSY)
		console_printf("CPU %llu is %s already\n", (unsigned long long)cpu,
			       online ? "online" : "offline");
	else if (error == -XEN_EINVAL && cpu == 0)
		console_printf(
		    "CPU 0 stays: the kernel's own threads and the devices' interrupts are "
		    "there\n");
	else if (error == -XEN_EINVAL)
		console_printf("there is no CPU %llu; the last is %u\n", (unsigned long long)cpu,
			       smp_count() - 1);
	return error;
}

/* Each but the first out and in again, so many times. The toolstack may have it in again before us. */
static int cycle(uint64_t rounds)
{
	int error = 0;

	for (uint64_t i = 0; i < rounds && !error; i++)
		for (unsigned cpu = 1; cpu < smp_count() && !error; cpu++) {
			error = smp_down(cpu);
			if (!error)
				error = smp_up(cpu);
			if (error == -XEN_EBUSY && smp_state(cpu) == SMP_ONLINE)
				error = 0;
		}
	console_printf("@cpu count=%u online=%u\n", smp_count(), smp_online());
	return error;
}

static int cpu_command(int argc, char **argv)
{
	uint64_t cpu;
	bool online;

	if (argc == 1)
		return list();
	if (argc != 3 || !str_to_u64(argv[2], &cpu))
		return -XEN_EINVAL;
	if (!strcmp(argv[1], "cycle"))
		return cycle(cpu);
	online = !strcmp(argv[1], "online");
	if (!online && strcmp(argv[1], "offline"))
		return -XEN_EINVAL;
	if (cpu >= smp_count())
		return answer(cpu, online, -XEN_EINVAL);
	return answer(cpu, online, online ? smp_up((unsigned)cpu) : smp_down((unsigned)cpu));
}

void commands_cpu_add(void)
{
	static const struct shell_command table[] = {
	    {"cpu", "[online|offline|cycle N]", "the CPUs; starts one, or takes one out",
	     cpu_command},
	};

	shell_add(table, ARRAY_SIZE(table));
}

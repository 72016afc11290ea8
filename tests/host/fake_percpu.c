/* fake_percpu.c: points gs at a struct percpu, as the kernel's boot does.
 *
 * Linked by tests of event channels, clocks and pv operations. Linux keeps a program's gs base over
 * switches and uses fs alone for threads, so nothing else minds.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fake_percpu.h"

struct percpu fake_cpus[FAKE_CPUS];

void fake_cpu_run_on(unsigned cpu)
{
	struct percpu *p = &fake_cpus[cpu];

	p->self = p;
	p->cpu = p->vcpu = cpu;
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, p))
		abort();
}

/* Before main: no test need mind. */
__attribute__((constructor)) static void begin(void)
{
	fake_cpu_run_on(0);
}

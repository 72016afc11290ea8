/* smp_xen_test.c: vCPUs of a Xen domain are made once, in the right order, and each with what is its own.
 *
 * Shows: how many there are is asked until Xen knows no more; a PV vCPU gets its place in memory, then its
 * context, then runs, and a second time runs only; a refusal at any step is an error, and the next try goes on
 * from there; a kick is that vCPU's port; timer, stolen time and IPI are the vCPU's own; a PVH vCPU finds its
 * number; after a suspend everything is asked anew. Why: a vCPU that misses one of these runs on another's.
 *
 * links: kernel/smp_xen.c kernel/vcpu_xen.c kernel/time_xen.c lib/clock_scale.c
 * links: tests/host/fake_hypercall.c tests/host/fake_percpu.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/event.h>
#include <amphi/hypercall.h>
#include <amphi/pvops.h>
#include <xen/arch-x86/cpuid.h>
#include "fake_hypercall.h"
#include "fake_percpu.h"
#include "kernel/boot.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/mm.h"
#include "kernel/panic.h"
#include "kernel/platform.h"
#include "kernel/smp_xen.h"
#include "kernel/time.h"
#include "kernel/trap_parts.h"

struct boot_info boot;
struct pv_ops pv_ops;
uint64_t hypercall_counts[HYPERCALL_NUMBERS];
static uint64_t top_table[512];
uint64_t *mm_top = top_table;

/* ---- a hypervisor with a few vCPUs -------------------------------------------------------------- */

#define VCPUS 3u

static struct {
	bool info, initialised, up;
	uint64_t runstate_va, timeout_ns;
	struct vcpu_guest_context ctx;
} vcpu[VCPUS];
static struct vcpu_register_vcpu_info last_info;
static char order[64]; /* a letter a call: what a vCPU was told, in this order */
static unsigned refused;
static uint64_t n_pages;

static void note(char what)
{
	size_t n = strlen(order);

	assert_true(n + 1 < sizeof(order));
	order[n] = what;
	order[n + 1] = 0;
}

static int64_t vcpu_op(unsigned cmd, unsigned v, void *arg)
{
	if (v >= VCPUS)
		return -XEN_ENOENT;
	if (cmd == refused)
		return -XEN_EPERM;
	switch (cmd) {
	case VCPUOP_is_up:
		return vcpu[v].up;
	case VCPUOP_register_vcpu_info:
		if (vcpu[v].info || (vcpu[v].up && this_cpu()->vcpu != v))
			return -XEN_EINVAL;
		note('i');
		vcpu[v].info = true;
		memcpy(&last_info, arg, sizeof(last_info));
		return 0;
	case VCPUOP_initialise:
		note('c');
		if (vcpu[v].initialised)
			return -XEN_EEXIST;
		vcpu[v].initialised = true;
		memcpy(&vcpu[v].ctx, arg, sizeof(vcpu[v].ctx));
		return 0;
	case VCPUOP_up:
		note('u');
		vcpu[v].up = true;
		return vcpu[v].initialised ? 0 : -XEN_EINVAL;
	case VCPUOP_down:
		vcpu[v].up = false;
		return 0;
	case VCPUOP_register_runstate_memory_area:
		vcpu[v].runstate_va =
		    (uint64_t)(uintptr_t)((struct vcpu_register_runstate_memory_area *)arg)->addr.v;
		return 0;
	case VCPUOP_set_singleshot_timer:
		if (v != this_cpu()->vcpu)
			return -XEN_EINVAL;
		vcpu[v].timeout_ns = ((struct vcpu_set_singleshot_timer *)arg)->timeout_abs_ns;
		return 0;
	default:
		return cmd == VCPUOP_stop_periodic_timer ? 0 : -XEN_ENOSYS;
	}
}

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	if (nr == __HYPERVISOR_vcpu_op)
		return vcpu_op((unsigned)a1, (unsigned)a2, (void *)(uintptr_t)a3);
	assert_int_equal(nr, __HYPERVISOR_vm_assist);
	return 0;
}

/* ---- what the rest of the kernel would be -------------------------------------------------------- */

static uint32_t next_port, notified;
static unsigned ipis[VCPUS], virqs[VCPUS], n_interrupts;
static event_fn *timer_fn;
static jmp_buf on_panic;
static int bind_error;

void event_notify(port_t port)
{
	notified = port.v;
}

int event_bind_ipi(unsigned v, event_fn *fn, void *ctx, port_t *out_port)
{
	fn(ctx);
	if (bind_error)
		return bind_error;
	*out_port = (port_t){ipis[v] = next_port++};
	return 0;
}

int event_bind_virq_of(unsigned v, unsigned virq, event_fn *fn, void *ctx, port_t *out_port)
{
	assert_int_equal(virq, VIRQ_TIMER);
	assert_int_equal(virqs[v], 0);
	timer_fn = fn;
	*out_port = (port_t){virqs[v] = next_port++};
	return 0;
}

void time_interrupt(void)
{
	n_interrupts++;
}

void *pages_alloc(unsigned n)
{
	n_pages += n;
	return calloc(n, PAGE_SIZE);
}

void pages_free(void *va, unsigned n)
{
	n_pages -= n;
	free(va);
}

/* The machine's address of a byte is its own and 1 TiB. */
maddr_t virt_to_maddr(const void *va)
{
	return (maddr_t){(uint64_t)(uintptr_t)va + (1ull << 40)};
}

void trap_xen_context(struct vcpu_guest_context *ctx)
{
	ctx->trap_ctxt[14].address = 0x1414;
}

static unsigned n_rights, n_started;

void trap_init_cpu_xen_pv(void)
{
	n_rights++;
}

void smp_started(void)
{
	n_started++;
	longjmp(on_panic, 2);
}

void smp_xen_entry(void) {}

static unsigned parked_vcpu;
static const uint64_t *parked_stack;

void smp_xen_park(unsigned v, const uint64_t *stack)
{
	parked_vcpu = v;
	parked_stack = stack;
	longjmp(on_panic, 3);
}

static bool may_panic;

void panic(const char *fmt, ...)
{
	if (!may_panic)
		fail_msg("panic: %s", fmt);
	longjmp(on_panic, 1);
}

void klog(enum log_level level, const char *fmt, ...) {}

static void *provided[PV_OP_COUNT];

int pvops_provide(enum pv_op op, enum pv_kind kind, void *fn)
{
	provided[op] = fn;
	return 0;
}

void platform_look(platform_cpuid_fn *cpuid, struct platform_found *found)
{
	found->xen_base = 0x40000100;
}

static uint32_t told_number;

static void cpuid(uint32_t *regs)
{
	assert_int_equal(regs[0], 0x40000104);
	regs[0] = told_number == ~0u ? 0 : XEN_HVM_CPUID_VCPU_ID_PRESENT;
	regs[1] = told_number;
}

static unsigned native_find(uint32_t *ids, unsigned max)
{
	return 1;
}

const struct smp_platform smp_native_platform = {.find = native_find};

/* ---- tests ---------------------------------------------------------------------------------------- */

static const struct smp_platform *platform;

/* A new world; also for what the files under test remember. */
static int fresh(void **state)
{
	fake_cpu_run_on(0);
	memset(vcpu, 0, sizeof(vcpu));
	memset(ipis, 0, sizeof(ipis));
	memset(virqs, 0, sizeof(virqs));
	for (unsigned i = 0; i < FAKE_CPUS; i++)
		fake_cpus[i] = (struct percpu){.self = &fake_cpus[i], .cpu = i, .id = i};
	fake_cpus[0].vcpu_info.time.tsc_to_system_mul = 1u << 31;
	vcpu[0].up = vcpu[0].initialised = true;
	order[0] = 0;
	refused = ~0u;
	next_port = 7;
	bind_error = 0;
	may_panic = false;
	n_pages = 0;
	told_number = ~0u;
	boot.platform = BOOT_XEN_PV;
	pv_ops.cpu.cpuid = cpuid;
	clock_resume_xen(); /* the timer's port is gone */
	smp_xen_resume();
	platform = smp_xen_platform();
	return 0;
}

static void they_are_counted(void **state)
{
	uint32_t ids[8];

	assert_int_equal(platform->find(ids, 8), VCPUS);
	assert_int_equal(ids[0], 0);
	assert_int_equal(ids[2], 2);
	assert_int_equal(platform->find(ids, 2), 2);
}

static void the_first_start(void **state)
{
	static uint64_t stack[64];
	struct percpu *p = &fake_cpus[2];

	p->self = NULL;
	assert_int_equal(platform->start(p, stack + 64), 0);
	assert_string_equal(order, "icu");
	assert_ptr_equal(p->self, p);
	assert_int_equal(p->vcpu, 2);
	assert_int_equal(p->vcpu_info.evtchn_upcall_mask, 1);
	assert_true(last_info.mfn == ((uintptr_t)p + (1ull << 40)) / PAGE_SIZE);
	assert_int_equal(last_info.offset, (uintptr_t)&p->vcpu_info % PAGE_SIZE);
	assert_true(vcpu[2].ctx.user_regs.rip == (uintptr_t)smp_xen_entry);
	assert_true(vcpu[2].ctx.user_regs.rsp == (uintptr_t)(stack + 64));
	assert_true(vcpu[2].ctx.kernel_sp == (uintptr_t)(stack + 64));
	assert_true(vcpu[2].ctx.gs_base_kernel == (uintptr_t)p);
	assert_true(vcpu[2].ctx.flags & VGCF_in_kernel);
	assert_true(xen_cr3_to_pfn(vcpu[2].ctx.ctrlreg[3]) ==
		    ((uintptr_t)top_table + (1ull << 40)) / PAGE_SIZE);
	assert_int_equal(vcpu[2].ctx.trap_ctxt[14].address, 0x1414);
	assert_int_equal(n_pages, 0);
}

static void down_and_up_again(void **state)
{
	static uint64_t first[64], second[64];
	struct percpu *p = &fake_cpus[1];

	assert_int_equal(platform->start(p, first + 64), 0);
	assert_false(platform->parked(p));
	fake_cpu_run_on(1);
	if (!setjmp(on_panic))
		platform->park();
	fake_cpu_run_on(0);
	assert_int_equal(parked_vcpu, 1);
	vcpu[1].up = false;
	assert_true(platform->parked(p));
	assert_int_equal(platform->start(p, second + 64), 0);
	assert_string_equal(order, "icuu");                     /* made once */
	assert_true(*parked_stack == (uintptr_t)(second + 64)); /* where it goes on */
	platform->stop(p);
	assert_false(vcpu[1].up);
}

static void refusals(void **state)
{
	static const unsigned steps[] = {VCPUOP_register_vcpu_info, VCPUOP_initialise, VCPUOP_up};
	static uint64_t stack[64];

	for (unsigned i = 0; i < 3; i++) {
		refused = steps[i];
		assert_int_equal(platform->start(&fake_cpus[1], stack + 64), -XEN_EPERM);
		assert_false(vcpu[1].up);
	}
	refused = ~0u;
	assert_int_equal(platform->start(&fake_cpus[1], stack + 64), 0);
	assert_string_equal(order, "icu"); /* nothing twice */
	assert_int_equal(n_pages, 0);
}

/* On the new CPU: its own port, timer and area; a second time nothing is bound again. */
static void what_is_its_own(void **state)
{
	static uint64_t stack[64];
	unsigned ipi;

	for (unsigned i = 1; i < VCPUS; i++) {
		assert_int_equal(platform->start(&fake_cpus[i], stack + 64), 0);
		fake_cpu_run_on(i);
		smp_xen_cpu_online();
		ipi = ipis[i];
		assert_true(ipi && virqs[i]);
		smp_xen_cpu_online();
		assert_int_equal(ipis[i], ipi);
		((void (*)(uint64_t))provided[PV_time_set_next_event])(1000 + i);
		assert_true(vcpu[i].timeout_ns == 1000 + i - clock_offset_xen());
	}
	assert_true(vcpu[1].runstate_va != vcpu[2].runstate_va && vcpu[1].runstate_va);
	fake_cpu_run_on(0);
	platform->kick(&fake_cpus[1]);
	assert_int_equal(notified, ipis[1]);
	platform->kick(&fake_cpus[0]);
	assert_int_equal(notified, ipis[0]);
	n_interrupts = 0;
	timer_fn(NULL);
	assert_int_equal(n_interrupts, 1);
	if (!setjmp(on_panic))
		smp_xen_begin();
	assert_true(n_started == 1 && n_rights == 1);
}

static void without_events_it_cannot_go_on(void **state)
{
	fake_cpu_run_on(1);
	fake_cpus[1].vcpu = 1;
	bind_error = -XEN_ENOSPC;
	may_panic = true;
	if (!setjmp(on_panic)) {
		smp_xen_cpu_online();
		fail();
	}
}

static void stolen_time(void **state)
{
	uint64_t (*steal)(void) = (uint64_t(*)(void))provided[PV_time_steal_clock];
	static uint64_t stack[64];
	struct vcpu_runstate_info *r;

	assert_int_equal(platform->start(&fake_cpus[1], stack + 64), 0);
	fake_cpu_run_on(1);
	smp_xen_cpu_online();
	r = (struct vcpu_runstate_info *)(uintptr_t)vcpu[1].runstate_va;
	r->time[RUNSTATE_running] = 1000, r->time[RUNSTATE_blocked] = 500;
	r->time[RUNSTATE_runnable] = 30, r->time[RUNSTATE_offline] = 4;
	assert_int_equal(steal(), 34);
	fake_cpu_run_on(0);
	assert_int_equal(steal(), 0);
}

static void a_pvh_vcpu_finds_its_number(void **state)
{
	boot.platform = BOOT_XEN_PVH;
	platform = smp_xen_platform();
	assert_ptr_equal(platform->find, native_find);
	fake_cpus[1].id = 2, fake_cpus[2].id = 2;
	fake_cpu_run_on(1);
	fake_cpus[1].vcpu_info.evtchn_upcall_mask = 1;
	smp_xen_cpu_begin(&fake_cpus[1]); /* not told: by its APIC */
	assert_int_equal(fake_cpus[1].vcpu, 1);
	assert_int_equal(fake_cpus[1].vcpu_info.evtchn_upcall_mask, 0);
	smp_xen_cpu_begin(&fake_cpus[1]); /* it comes again */
	fake_cpu_run_on(2);
	told_number = 2;
	smp_xen_cpu_begin(&fake_cpus[2]);
	assert_int_equal(fake_cpus[2].vcpu, 2);
	assert_string_equal(order, "ii");
	smp_xen_cpu_online();
	fake_cpu_run_on(0);
	platform->kick(&fake_cpus[2]);
	assert_int_equal(notified, ipis[2]);
}

static void a_new_world(void **state)
{
	static uint64_t stack[64];

	assert_int_equal(platform->start(&fake_cpus[1], stack + 64), 0);
	vcpu[1].info = vcpu[1].initialised = vcpu[1].up = false; /* another domain's */
	ipis[0] = 0;
	smp_xen_resume();
	assert_int_not_equal(ipis[0], 0);
	assert_int_equal(platform->start(&fake_cpus[1], stack + 64), 0);
	assert_string_equal(order, "icuicu");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(they_are_counted, fresh),
	    cmocka_unit_test_setup(the_first_start, fresh),
	    cmocka_unit_test_setup(down_and_up_again, fresh),
	    cmocka_unit_test_setup(refusals, fresh),
	    cmocka_unit_test_setup(what_is_its_own, fresh),
	    cmocka_unit_test_setup(without_events_it_cannot_go_on, fresh),
	    cmocka_unit_test_setup(stolen_time, fresh),
	    cmocka_unit_test_setup(a_pvh_vcpu_finds_its_number, fresh),
	    cmocka_unit_test_setup(a_new_world, fresh),
	};

	fake_cpus[0].vcpu_info.time.tsc_to_system_mul = 1u << 31;
	(void)clock_init_xen();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

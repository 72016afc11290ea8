/* pv_smp.c: a PV kernel with several vCPUs that looks at what they can do to each other.
 *
 * Shows: vCPUs made, started, stopped and started again; IPI channels and polls; each one's timer;
 * run states; flushes; and that a page which one vCPU gives up is not written any more by another
 * that still has it in its TLB, whether or not anybody asked for a flush. Run as the first domain,
 * on amphi-hv or on Xen, with 2 to 4 vCPUs: what it prints is the same on both. "quick" as its
 * command line makes the rounds fewer.
 */
#include "pv.h"

#define VCPUS 4

static struct start_info *info;
static struct shared_info *shared;
static struct vcpu_guest_context context;
static struct vcpu_info own_info __attribute__((aligned(64)));
static uint8_t stacks[VCPUS][8192] __attribute__((aligned(16)));
static uint8_t shared_page[4096] __attribute__((aligned(4096)));
static uint8_t page_a[4096] __attribute__((aligned(4096)));
static uint8_t page_b[4096] __attribute__((aligned(4096)));
static uint8_t window[4096] __attribute__((aligned(4096)));
static unsigned vcpus, rounds = 200;

enum job { NOTHING, COUNT, GO_DOWN, SLEEP, WRITE };
static volatile struct {
	enum job job;
	uint64_t done, started;
	volatile struct vcpu_info *info;
	evtchn_port_t ipi, timer;
} of[VCPUS];
static volatile int stop;
static volatile uint64_t turns; /* of who writes */

/* ---- calls ---------------------------------------------------------------------------------- */

static long sched(unsigned cmd, void *arg)
{
	return hypercall(__HYPERVISOR_sched_op, cmd, (uint64_t)arg, 0, 0);
}

static long vcpu(unsigned cmd, unsigned id, void *arg)
{
	return hypercall(__HYPERVISOR_vcpu_op, cmd, id, (uint64_t)arg, 0);
}

static long evtchn(unsigned cmd, void *arg)
{
	return hypercall(__HYPERVISOR_event_channel_op, cmd, (uint64_t)arg, 0, 0);
}

/* An emulator that runs CPUs in turns goes on to the next; without it each has a tenth of a second. */
static void pause(void)
{
	__asm__ volatile("pause" ::: "memory");
}

/* Until it is so; whoever has no CPU of his own gets a turn meanwhile. */
#define UNTIL(condition)                                                                           \
	do {                                                                                       \
		while (!(condition)) {                                                             \
			sched(SCHEDOP_yield, 0);                                                   \
			pause();                                                                   \
		}                                                                                  \
	} while (0)

static uint64_t now(unsigned id)
{
	return clock_of(&of[id].info->time);
}

/* Waits for the port, which is masked by nobody and delivered to nobody: upcalls are off. A poll may
 * end for other reasons. */
static void wait_for(evtchn_port_t port)
{
	struct sched_poll poll = {.nr_ports = 1};
	uint64_t bit = 1ul << (port % 64);

	set_xen_guest_handle(poll.ports, &port);
	do
		sched(SCHEDOP_poll, &poll);
	while (!(__atomic_fetch_and(&shared->evtchn_pending[port / 64], ~bit, __ATOMIC_SEQ_CST) &
		 bit));
}

static void tell(unsigned id)
{
	struct evtchn_send send = {.port = of[id].ipi};

	evtchn(EVTCHNOP_send, &send);
}

/* ---- the other vCPUs ------------------------------------------------------------------------ */

/* Bytes that are nowhere else. Turns end at any of them. */
static void write_until_stopped(void)
{
	while (!stop) {
		for (unsigned i = 0; i < 64; i++) {
			((volatile uint64_t *)window)[i] = 0x5555555555555555;
			if (i == turns % 64)
				pause();
		}
		turns++;
	}
}

void other(uint64_t id);
void other(uint64_t id)
{
	struct vcpu_set_singleshot_timer s = {0};

	of[id].started++;
	for (;;) {
		wait_for(of[id].ipi);
		switch (of[id].job) {
		case GO_DOWN:
			of[id].done++;
			vcpu(VCPUOP_down, (unsigned)id, 0);
			of[id].started++;
			continue;
		case SLEEP:
			s.timeout_abs_ns = now((unsigned)id) + 1000000;
			vcpu(VCPUOP_set_singleshot_timer, (unsigned)id, &s);
			/* Xen has a periodic timer running from the start, whose event may be there. */
			while (now((unsigned)id) < s.timeout_abs_ns)
				wait_for(of[id].timer);
			of[id].done++;
			continue;
		case WRITE:
			of[id].started++;
			write_until_stopped();
			of[id].done++;
			continue;
		default:
			of[id].done++;
		}
	}
}

static void ask(unsigned id, enum job job)
{
	uint64_t before = of[id].done;

	of[id].job = job;
	tell(id);
	if (job != WRITE)
		UNTIL(of[id].done != before);
}

/* ---- checks --------------------------------------------------------------------------------- */

static void start(unsigned id)
{
	struct evtchn_bind_ipi ipi = {.vcpu = id};
	struct evtchn_bind_virq virq = {.virq = VIRQ_TIMER, .vcpu = id};

	evtchn(EVTCHNOP_bind_ipi, &ipi);
	evtchn(EVTCHNOP_bind_virq, &virq);
	of[id].ipi = ipi.port;
	of[id].timer = virq.port;
	of[id].info = &shared->vcpu_info[id];
	context.flags = VGCF_in_kernel;
	context.user_regs.rip = (uint64_t)other;
	context.user_regs.rdi = id;
	context.user_regs.rsp = (uint64_t)stacks[id] + sizeof(stacks[id]) - 8;
	context.user_regs.cs = FLAT_KERNEL_CS64;
	context.user_regs.ss = FLAT_KERNEL_SS64;
	context.user_regs.rflags = 0x202;
	context.ctrlreg[3] = xen_pfn_to_cr3(((uint64_t *)info->mfn_list)[info->pt_base / 4096]);
	check("a vCPU gets its context", vcpu(VCPUOP_initialise, id, &context) == 0);
	check("and not a second one", vcpu(VCPUOP_initialise, id, &context) == -17);
	check("it is not up yet", vcpu(VCPUOP_is_up, id, 0) == 0);
	check("it goes up", vcpu(VCPUOP_up, id, 0) == 0);
	UNTIL(of[id].started == 1);
	check("it is up and runs", vcpu(VCPUOP_is_up, id, 0) == 1);
}

static void made(void)
{
	struct vcpu_register_vcpu_info r = {0};

	check("there is no such vCPU", vcpu(VCPUOP_is_up, 4000, 0) == -2);
	check("vCPU 0 is up", vcpu(VCPUOP_is_up, 0, 0) == 1);
	check("what has no context does not go up", vcpu(VCPUOP_up, 1, 0) == -22);
	check("a context must be there",
	      vcpu(VCPUOP_initialise, 1, (void *)0xfffff00000000000) == -14);
	for (unsigned id = 1; id < vcpus; id++)
		start(id);
	r.mfn = ((uint64_t *)info->mfn_list)[(uint64_t)&own_info / 4096];
	r.offset = (uint64_t)&own_info % 4096;
	check("another's vcpu_info cannot move while it is up",
	      vcpu(VCPUOP_register_vcpu_info, 1, &r) == -22);
	check("one's own can", vcpu(VCPUOP_register_vcpu_info, 0, &r) == 0);
	of[0].info = &own_info;
	check("and has the time", own_info.time.tsc_to_system_mul != 0 && now(0) > 0);
}

static void channels(void)
{
	struct evtchn_bind_ipi ipi = {.vcpu = 4000};
	struct evtchn_bind_virq virq = {.virq = VIRQ_TIMER, .vcpu = 1};
	struct evtchn_bind_vcpu move = {.port = of[1].ipi, .vcpu = 0};
	struct evtchn_status status = {.dom = DOMID_SELF, .port = of[1].ipi};
	uint64_t before = of[1].done;

	check("no IPI to a vCPU that is not there", evtchn(EVTCHNOP_bind_ipi, &ipi) == -2);
	check("one timer virq for each vCPU", evtchn(EVTCHNOP_bind_virq, &virq) == -17);
	check("an IPI stays where it is", evtchn(EVTCHNOP_bind_vcpu, &move) == -22);
	check("and says where", evtchn(EVTCHNOP_status, &status) == 0 && status.vcpu == 1 &&
				    status.status == EVTCHNSTAT_ipi);
	for (unsigned i = 0; i < rounds; i++)
		for (unsigned id = 1; id < vcpus; id++)
			ask(id, COUNT);
	check("each IPI arrives", of[1].done - before == rounds);
	for (unsigned i = 0; i < 20 * rounds; i++)
		tell(1 + i % (vcpus - 1));
	for (unsigned id = 1; id < vcpus; id++)
		ask(id, SLEEP);
	check("a storm of them hurts nobody, and timers are each vCPU's own", 1);
}

static void stopped(void)
{
	struct vcpu_runstate_info run;

	UNTIL(vcpu(VCPUOP_get_runstate_info, 1, &run) == 0 && run.state == RUNSTATE_blocked);
	check("who polls is blocked", 1);
	for (unsigned i = 0; i < rounds / 4; i++) {
		uint64_t before = of[1].started;

		ask(1, GO_DOWN);
		UNTIL(vcpu(VCPUOP_is_up, 1, 0) == 0);
		if (i == 0) {
			UNTIL(vcpu(VCPUOP_get_runstate_info, 1, &run) == 0 &&
			      run.state == RUNSTATE_offline);
			check("who is down is offline", 1);
		}
		vcpu(VCPUOP_up, 1, 0);
		UNTIL(of[1].started != before);
	}
	check("down and up, over and over", 1);
	for (unsigned i = 0; i < rounds; i++) {
		vcpu(VCPUOP_down, vcpus - 1, 0);
		vcpu(VCPUOP_up, vcpus - 1, 0);
	}
	ask(vcpus - 1, COUNT);
	check("stopped anywhere it goes on there", 1);
}

/* ---- stale translations --------------------------------------------------------------------- */

static uint64_t mfn_of(const void *p)
{
	return ((uint64_t *)info->mfn_list)[(uint64_t)p / 4096];
}

static long map(const void *va, uint64_t pte, uint64_t flags)
{
	return hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)va, pte, flags, 0);
}

static long memory(unsigned cmd, uint64_t *frame)
{
	struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};

	set_xen_guest_handle(r.extent_start, frame);
	return hypercall(__HYPERVISOR_memory_op, cmd, (uint64_t)&r, 0, 0);
}

/* Whether it is written by who has been through it once more, from beginning to end. */
static int written(const volatile uint8_t *page)
{
	uint64_t before = turns;
	int any = 0;

	UNTIL(turns >= before + 2);
	for (unsigned i = 0; i < 512; i++)
		any |= page[i] == 0x55;
	return any;
}

static void clear(uint8_t *page)
{
	for (unsigned i = 0; i < 4096; i++)
		((volatile uint8_t *)page)[i] = 0;
}

/* The window shows one page, then another; the first must then be left alone by who writes. */
static void by_flush(uint64_t flags)
{
	int late = 0;

	for (unsigned i = 0; i < rounds / 4; i++) {
		uint8_t *from = i & 1 ? page_a : page_b, *to = i & 1 ? page_b : page_a;

		map(window, mfn_of(from) << 12 | 7, flags);
		UNTIL(((volatile uint8_t *)from)[0] == 0x55);
		map(window, mfn_of(to) << 12 | 7, flags);
		clear(from);
		late |= written(from);
	}
	check("after a flush the old page is left alone", !late);
}

/* Gives the frame back and takes others until it comes again; the others go back. Whether it came. */
static int again(uint64_t frame, uint64_t pfn)
{
	static uint64_t others[64];
	unsigned n = 0;
	int came = 0;

	memory(XENMEM_decrease_reservation, &frame);
	while (n < 64 && !came) {
		others[n] = pfn;
		if (memory(XENMEM_populate_physmap, &others[n]) != 1)
			break;
		came = others[n++] == frame;
	}
	if (came)
		n--;
	while (n)
		memory(XENMEM_decrease_reservation, &others[--n]);
	return came;
}

/* Nobody flushes, but the page goes back to the hypervisor and comes again: its next life must not
 * be written by the last one's translation. Where it does not come again there is nothing to see. */
static void by_giving_up(void)
{
	uint64_t frame = mfn_of(page_a), pfn = (uint64_t)page_a / 4096;
	int late = 0, came = 1;

	for (unsigned i = 0; i < rounds / 4 && came; i++) {
		map(window, frame << 12 | 7, UVMF_INVLPG | UVMF_ALL);
		map(page_a, frame << 12 | 7, UVMF_INVLPG);
		UNTIL(page_a[0] == 0x55);
		map(page_a, 0, 0);
		map(window, mfn_of(page_b) << 12 | 7, 0);
		came = again(frame, pfn);
		if (!came)
			continue;
		map(page_a, frame << 12 | 7, UVMF_INVLPG);
		clear(page_a); /* Xen leaves to a guest what it had itself */
		late |= written(page_a);
	}
	check("a new page is not written by the last one's owner", !late);
	/* Some page must be there for what follows. */
	frame = pfn;
	if (!came && memory(XENMEM_populate_physmap, &frame) == 1) {
		((uint64_t *)info->mfn_list)[pfn] = frame;
		map(page_a, frame << 12 | 7, UVMF_INVLPG);
	}
}

static long pin(unsigned cmd)
{
	struct mmuext_op op = {.cmd = cmd};

	op.arg1.mfn = mfn_of(page_a);
	return hypercall(__HYPERVISOR_mmuext_op, (uint64_t)&op, 1, 0, DOMID_SELF);
}

/* Makes the page an empty L1 table. Who wrote to it meanwhile wrote what is no table; but since it
 * was refused for that, his translation is gone. */
static int become_table(void)
{
	for (unsigned tries = 0; tries < 2; tries++) {
		map(page_a, mfn_of(page_a) << 12 | 7, UVMF_INVLPG);
		clear(page_a);
		map(page_a, mfn_of(page_a) << 12 | 5, UVMF_INVLPG);
		if (pin(MMUEXT_PIN_L1_TABLE) == 0)
			return 1;
	}
	return 0;
}

static void by_type(void)
{
	int late = 0, wrong = 0;

	for (unsigned i = 0; i < rounds / 4; i++) {
		map(window, mfn_of(page_a) << 12 | 7, UVMF_INVLPG | UVMF_ALL);
		UNTIL(page_a[0] == 0x55);
		wrong |= pin(MMUEXT_PIN_L1_TABLE) == 0; /* still mapped for writing */
		map(window, mfn_of(page_b) << 12 | 7, 0);
		wrong |= !become_table();
		late |= written(page_a);
		wrong |= pin(MMUEXT_UNPIN_TABLE) != 0;
		map(page_a, mfn_of(page_a) << 12 | 7, UVMF_INVLPG);
	}
	check("a page is either written or a table", !wrong);
	check("a page table is not written", !late);
}

static void translations(void)
{
	uint64_t before = of[1].started;

	map(window, mfn_of(page_b) << 12 | 7, UVMF_INVLPG | UVMF_ALL);
	ask(1, WRITE);
	UNTIL(of[1].started != before);
	by_flush(UVMF_INVLPG | UVMF_ALL);
	by_flush(UVMF_TLB_FLUSH | UVMF_ALL);
	by_giving_up();
	by_type();
	before = of[1].done;
	stop = 1;
	UNTIL(of[1].done != before);
}

void guest_main(struct start_info *si)
{
	info = si;
	print("pv_smp: a guest begins\n");
	if (si->cmd_line[0] == 'q')
		rounds = 40;
	shared = (struct shared_info *)shared_page;
	map(shared_page, si->shared_info | 7, UVMF_INVLPG);
	of[0].info = &shared->vcpu_info[0];
	while (vcpus < VCPUS && vcpu(VCPUOP_is_up, vcpus, 0) >= 0)
		vcpus++;
	print_number("vCPUs ", vcpus);
	made();
	channels();
	stopped();
	translations();
	print("pv_smp: done\n");
	end(SHUTDOWN_reboot); /* where Xen would stay after a power-off */
}

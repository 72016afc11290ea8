/* hv_pv_fuzz: a hostile kernel and user at the hypercalls and instructions of a vCPU.
 *
 * Reaches set_trap_table, set_callbacks, callback_op, stack_switch, iret, fpu_taskswitch,
 * set_segment_base, set/get_debugreg, set_timer_op, sched_op, physdev_op, console_io, all
 * exceptions and the emulator, in any order. Expected after each: what the CPU will be given is
 * harmless, and interrupts are as many as before (RPL 3, IOPL 0, interrupts on, handlers and bases that are the guest's), the world's own
 * registers are never loaded with what would fault us, and no sanitizer speaks.
 *
 * links: tests/host/hv_vcpu_world.c hypervisor/pv.c hypervisor/pv_bounce.c lib/printf.c
 * links: hypervisor/pv_context.c hypervisor/trap.c hypervisor/emulate.c hypervisor/cpuid.c
 * links: hypervisor/emulate_decode.c hypervisor/emulate_table.c hypervisor/msr.c lib/text.c
 * links: hypervisor/io.c hypervisor/pirq.c hypervisor/msi.c hypervisor/pci_config.c lib/pci_cap.c hypervisor/irq.c hypervisor/time.c
 * links: hypervisor/sched.c hypervisor/sched_choose.c hypervisor/sched_share.c hypervisor/sched_op.c hypervisor/timer.c hypervisor/console.c
 * links: hypervisor/physdev.c lib/clock_scale.c
 */
#include <stdlib.h>
#include <string.h>

#include "hypervisor/clock.h"
#include "hypervisor/hypercall.h"
#include "hypervisor/irq.h"
#include "hypervisor/trap.h"
#include "tests/host/hv_vcpu_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *at, *end;
uint64_t boot_tsc;

/* time.c is real here, the board's clocks are not. */
bool clock_start(struct clock_sample *out)
{
	return false;
}
void clock_sample(struct clock_sample *out) {}
uint64_t clock_tsc_hz(const struct clock_sample *from, const struct clock_sample *to)
{
	return 1000000000;
}
uint64_t clock_measure_tsc_hz(const struct clock_sample *first)
{
	return 1000000000;
}
uint64_t clock_read_rtc(void)
{
	return 0;
}

static void demand(bool ok)
{
	if (!ok)
		abort();
}

static uint8_t u8(void)
{
	return at < end ? *at++ : 0;
}

/* A small number, an address in or at the edge of memory, in our hole, or not canonical. */
static uint64_t u64(void)
{
	uint8_t kind = u8(), n = u8();

	switch (kind % 8) {
	case 0:
		return n;
	case 1:
		return WORLD_BASE + 16u * n;
	case 2:
		return WORLD_BASE + WORLD_BYTES - n;
	case 3:
		return HV_HOLE_START + n;
	case 4:
		return HV_HOLE_END + n;
	case 5:
		return (uint64_t)n << 56 | n;
	case 6:
		return ~0ull - n;
	default:
		return (uint64_t)n << (kind / 8);
	}
}

static void fill(uint64_t va, unsigned n)
{
	uint8_t *p = world_at(va);

	for (unsigned i = 0; i < n; i++)
		p[i] = u8();
}

/* What a first domain may ask for, and what is near it: any type, count and number of the function that is there, or its neighbour. */
static void interrupts(void)
{
	static const int counts[] = {-1, 0, 1, 2, 3, 5, 8, 31, 32, 33, INT32_MAX, INT32_MIN};
	struct physdev_map_pirq m = {.domid = u8() % 8 ? DOMID_SELF : 7, .type = u8() % 6};
	struct physdev_unmap_pirq undo = {.domid = DOMID_SELF, .pirq = u8()};

	m.index = u8();
	m.pirq = u8() % 4 ? -1 : u8();
	m.bus = u8() % 8 ? 0 : 1 << 16;
	m.devfn = WORLD_BDF + (u8() % 8 == 0);
	m.entry_nr = counts[u8() % ARRAY_SIZE(counts)];
	m.table_base = u8() % 2 ? 0 : WORLD_DEVICE;
	WORLD_PUT(WORLD_BASE, m);
	(void)hc_physdev_op(PHYSDEVOP_map_pirq, WORLD_BASE);
	if (u8() % 2)
		(void)io_pirq_bind(world_domain, u8() % IO_PIRQS);
	if (u8() % 2)
		io_pirq_unbind(world_domain, u8() % IO_PIRQS);
	irq_handle(VECTOR_FIRST + u8() % (VECTOR_LAST - VECTOR_FIRST + 1));
	WORLD_PUT(WORLD_BASE, undo);
	if (u8() % 2)
		(void)hc_physdev_op(PHYSDEVOP_unmap_pirq, WORLD_BASE);
}

void hypercall_from_guest(struct guest_regs *r)
{
	uint64_t a = u64(), b = u64(), c = u64();

	switch (u8() % 14) {
	case 0:
		hc_set_trap_table(a);
		break;
	case 1:
		hc_set_callbacks(a, b, c);
		break;
	case 2:
		hc_callback_op(u8() % 3, b);
		break;
	case 3:
		hc_stack_switch(a, b);
		break;
	case 4:
		r->rax = (uint64_t)hc_iret();
		break;
	case 5:
		hc_fpu_taskswitch(a);
		break;
	case 6:
		hc_set_segment_base(u8() % 5, b);
		break;
	case 7:
		hc_set_debugreg(u8() % 9, b);
		break;
	case 8:
		hc_get_debugreg(u8());
		break;
	case 9:
		hc_set_timer_op(a);
		break;
	case 10:
		hc_sched_op(u8() % 9, b);
		break;
	case 12:
		pv_send_nmi(world_domain->vcpu[0]);
		hc_nmi_op(u8() % 3, b);
		world_domain->vm_assist = c;
		break;
	case 11:
		hc_physdev_op(u8() % 36, b);
		break;
	case 13:
		interrupts();
		break;
	default:
		hc_console_io(u8() % 3, u8(), c);
		break;
	}
}

static bool guests_own(uint64_t address)
{
	return address < 1ull << 47 || address >= HV_HOLE_END;
}

static void check(const struct vcpu *v)
{
	const struct guest_regs *r = &v->pv.regs;

	demand((r->cs & 3) == 3 && (r->ss & 3) == 3);
	demand((r->rflags & RFLAGS_IF) && !(r->rflags & (RFLAGS_IOPL | RFLAGS_VM | RFLAGS_NT)));
	for (unsigned i = 0; i < PV_CB_COUNT; i++)
		demand(guests_own(v->pv.callback[i]));
	for (unsigned i = 0; i < 256; i++)
		demand(guests_own(v->pv.traps[i].address));
	for (unsigned i = 0; i < 4; i++)
		demand(guests_own(v->pv.dr[i]));
	demand((v->pv.dr[7] & 0xffffffff00002000) == 0);
	demand(cpu_canonical(v->pv.gs_base_user) && cpu_canonical(v->pv.gs_base_kernel));
	demand(v->pv.iopl <= 3);
}

/* One thing that a guest can do to us. */
static void step(struct vcpu *v)
{
	static const uint8_t vectors[] = {0, 3, 4, 6, 7, 13, 13, 13, 14, 14, 17, 0x30, 0xf0};
	struct guest_regs *r = &v->pv.regs;
	uint8_t what = u8();

	world.now_ns += what * 1000u;
	if (what < 64) {
		fill(WORLD_BASE + (u8() & 0x7f) * 16u, u8() & 0x7f);
	} else if (what < 80) {
		*(&r->r15 + u8() % 15) = u64();
	} else if (what < 96) {
		r->rip = u64();
		r->rsp = u64();
	} else if (what < 112) {
		v->events.info->evtchn_upcall_mask = u8();
		pv_deliver_events(v);
	} else if (what < 180) {
		trap_syscall(r);
	} else if (what < 184) {
		trap_bad_iret(vectors[u8() % 9], u8());
	} else {
		world.cr2 = u64();
		r->vector = vectors[u8() % sizeof(vectors)];
		r->error_code = u8();
		if (r->vector != 7 || v->pv.ts)
			trap_from_guest(r);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vcpu *v;
	unsigned vectors;

	if (size == 0)
		return 0;
	at = data;
	end = data + size;
	world_start(u8() & 1);
	sched_init(0);
	v = world_domain->vcpu[0];
	hv_test_percpu.current = v;
	vcpu_up(v);
	io_port_permit(world_domain, 0x60, 0x80, true);
	io_mem_permit(world_domain, (mfn_t){WORLD_DEVICE >> 12}, (mfn_t){WORLD_DEVICE >> 12}, true);
	io_irq_permit(world_domain, 9, true);
	world.config[WORLD_MSI / 4] |= 5u << 17; /* it has 32 messages */
	world.remaps = size & 1;
	vectors = irq_vectors_used();
	while (at < end && !world_domain->shut_down) {
		step(v);
		check(v);
	}
	io_domain_teardown(world_domain);
	demand(world.n_remapped == 0 && irq_vectors_used() == vectors);
	world_end();
	return 0;
}

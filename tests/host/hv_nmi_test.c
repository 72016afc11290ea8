/* hv_nmi_test: NMIs of guests, and the I/O level in their frames.
 *
 * Shows: an NMI reaches its handler, events masked, a second one not before the iret of the first; who
 * sleeps is woken; without a handler it is lost; and architectural_iopl. Why: the way out looks for
 * NMIs only when it has the lock, so each way to have one due must come by there. Expected: all hold.
 * tests/guest/pv_modes.c shows the same from the inside, on real Xen too.
 *
 * links: tests/host/hv_vcpu_world.c hypervisor/pv.c hypervisor/pv_bounce.c lib/printf.c
 * links: hypervisor/pv_context.c hypervisor/trap.c hypervisor/emulate.c hypervisor/cpuid.c
 * links: hypervisor/emulate_decode.c hypervisor/emulate_table.c hypervisor/msr.c lib/text.c
 * links: hypervisor/io.c hypervisor/pirq.c hypervisor/msi.c hypervisor/pci_config.c lib/pci_cap.c hypervisor/irq.c
 * links: hypervisor/sched.c hypervisor/sched_choose.c hypervisor/sched_share.c hypervisor/timer.c hypervisor/console.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hv_pv_fixture.h"

static int set_up(void **state)
{
	struct trap_info traps[] = {{6, 0, HV_GUEST_CS64, HANDLER + 6}, {0, 0, 0, 0}};

	(void)state;
	pv_begin(traps, sizeof(traps));
	return 0;
}

static void nmi_handler(uint64_t address)
{
	struct xennmi_callback c = {.handler_address = address};

	WORLD_PUT(WORLD_BASE + 0x100, c);
	assert_int_equal(hc_nmi_op(XENNMI_register_callback, WORLD_BASE + 0x100), 0);
}

/* As on a CPU: events masked, and the next one only after iret. */
static void nmis_one_at_a_time(void **state)
{
	struct iret_context c = {.rip = HANDLER + 0x500, .cs = 0xe030, .rflags = RFLAGS_IF};

	(void)state;
	nmi_handler(HANDLER + 2);
	pv_deliver_events(v);
	assert_int_equal(r->rip, WORLD_BASE);
	pv_send_nmi(v);
	assert_true(pv_nmi_due(&v->pv));
	pv_deliver_events(v);
	assert_int_equal(r->rip, HANDLER + 2);
	assert_int_equal(word(2), WORLD_BASE);
	assert_true(event_masked(&v->events));
	r->rip = HANDLER + 0x77;
	pv_send_nmi(v);
	pv_deliver_events(v);
	assert_int_equal(r->rip, HANDLER + 0x77);
	c.rsp = r->rsp;
	r->rsp = WORLD_BASE + 0x3000;
	WORLD_PUT(r->rsp, c);
	hc_iret();
	pv_deliver_events(v);
	assert_int_equal(r->rip, HANDLER + 2);
	assert_int_equal(word(2), HANDLER + 0x500);
	assert_false(pv_nmi_due(&v->pv));
}

/* An upcall that is due as well waits: the NMI's frame masks events, unless its trap does not. */
static void nmis_come_first(void **state)
{
	struct trap_info trap[] = {{2, 0, HV_GUEST_CS64, HANDLER + 9}, {0, 0, 0, 0}};

	(void)state;
	nmi_handler(HANDLER + 2);
	v->events.info->evtchn_upcall_pending = 1;
	pv_send_nmi(v);
	pv_deliver_events(v);
	assert_int_equal(r->rip, HANDLER + 2);
	v->pv.nmi_masked = false;
	event_set_mask(&v->events, false);
	WORLD_PUT(WORLD_BASE + 0x100, trap);
	assert_int_equal(hc_set_trap_table(WORLD_BASE + 0x100), 0);
	pv_send_nmi(v);
	pv_deliver_events(v);
	assert_int_equal(r->rip, HANDLER); /* the upcall, on top of */
	assert_int_equal(word(2), HANDLER + 9);
}

static void nmis_need_a_handler(void **state)
{
	struct xennmi_callback c = {.handler_address = HV_HOLE_START};

	(void)state;
	pv_send_nmi(v);
	pv_deliver_events(v);
	assert_int_equal(r->rip, WORLD_BASE);
	nmi_handler(HANDLER + 2);
	pv_deliver_events(v); /* it was lost */
	assert_int_equal(r->rip, WORLD_BASE);
	assert_int_equal(hc_nmi_op(XENNMI_unregister_callback, 0), 0);
	assert_int_equal(v->pv.traps[2].address, 0);
	WORLD_PUT(WORLD_BASE + 0x100, c);
	assert_int_equal(hc_nmi_op(XENNMI_register_callback, WORLD_BASE + 0x100), -XEN_EINVAL);
	assert_int_equal(hc_nmi_op(XENNMI_register_callback, 16), -XEN_EFAULT);
	assert_int_equal(hc_nmi_op(2, 0), -XEN_ENOSYS);
}

/* One that comes while the vCPU is on its way to sleep wakes it. */
static void nmis_wake(void **state)
{
	(void)state;
	vcpu_block(v);
	assert_true(v->sched.holds & HOLD_BLOCKED);
	pv_send_nmi(v);
	assert_false(v->sched.holds & HOLD_BLOCKED);
	vcpu_block(v);
	assert_false(v->sched.holds & HOLD_BLOCKED);
}

static void the_io_level_as_on_a_cpu(void **state)
{
	struct iret_context c = {.rip = 0x1000, .cs = 0xe030, .rflags = 1ull << 12, .rsp = 0x2000};

	(void)state;
	v->pv.iopl = 3;
	fault(EXC_UD, 0);
	assert_int_equal(word(4) & RFLAGS_IOPL, 0);
	v->pv.iopl = 0;
	assert_false(pv_iopl_ok(v));
	world_domain->vm_assist = PV_ARCHITECTURAL_IOPL;
	assert_true(pv_iopl_ok(v));
	v->pv.iopl = 2;
	fault(EXC_UD, 0);
	assert_int_equal(word(4) & RFLAGS_IOPL, 2ull << 12);
	WORLD_PUT(r->rsp, c);
	hc_iret();
	assert_int_equal(v->pv.iopl, 1);
	assert_int_equal(r->rflags & RFLAGS_IOPL, 0);
	v->pv.kernel_mode = false;
	assert_false(pv_iopl_ok(v));
	v->pv.kernel_mode = true;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    T(nmis_one_at_a_time), T(nmis_come_first),          T(nmis_need_a_handler),
	    T(nmis_wake),          T(the_io_level_as_on_a_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

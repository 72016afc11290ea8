/* hv_pv_fixture.h: a guest's kernel with handlers, which is made to fault; for hv_pv_test and hv_nmi_test over hv_vcpu_world.c.
 *
 * v is the first domain's vCPU, r what it runs with. Handlers are at HANDLER + the vector's number; upcall, failsafe and
 * system call have the first three.
 */
#ifndef TESTS_HV_PV_FIXTURE_H
#define TESTS_HV_PV_FIXTURE_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hv_vcpu_world.h"
#include "hypervisor/hypercall.h"
#include "hypervisor/trap.h"

#define HANDLER 0x401000ull

static struct vcpu *v;
static struct guest_regs *r;

void hypercall_from_guest(struct guest_regs *regs)
{
	regs->rax = 0x1234;
}

static void pv_begin(const struct trap_info *traps, size_t len_bytes)
{
	world_start(true);
	v = world_domain->vcpu[0];
	r = &v->pv.regs;
	memcpy(world_at(WORLD_BASE + 0x100), traps, len_bytes);
	assert_int_equal(hc_set_trap_table(WORLD_BASE + 0x100), 0);
	assert_int_equal(hc_set_callbacks(HANDLER, HANDLER + 1, HANDLER + 2), 0);
}

static int tear_down(void **state)
{
	(void)state;
	world_end();
	return 0;
}

/* The i-th of the guest's stack. */
static uint64_t word(unsigned i)
{
	uint64_t w;

	memcpy(&w, world_at(r->rsp + 8 * i), 8);
	return w;
}

static void fault(unsigned vector, uint32_t error)
{
	r->vector = vector;
	r->error_code = error;
	trap_from_guest(r);
}

#endif

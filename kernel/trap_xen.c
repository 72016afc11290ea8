/* trap_xen.c: traps and upcalls of a Xen PV domain.
 *
 * Called once by boot_xen.c. The hypervisor takes every trap first and bounces it to the address we tell
 * it; there is no IDT and no GDT of ours (its flat segments serve), and interrupts are events. A domain
 * that owns hardware is given the right to I/O instructions here.
 */
#include <amphi/hypercall.h>
#include <amphi/pvops.h>

#include "boot.h"
#include "panic.h"
#include "trap_parts.h"

#define EXCEPTIONS           32u
#define STUB_SIZE            16u
#define TRAP_INFO_EVENTS_OFF 4 /* xen/arch-x86/xen.h, struct trap_info */

extern const char trap_stubs_xen[];
extern void xen_event_upcall(void);
extern void xen_failsafe_upcall(void);

/* NMI, double fault and machine check are the hypervisor's own: it delivers the first two by other
 * ways or not at all, and the gates are simply never used. */
static void make_gates(void)
{
	struct pv_gate gates[EXCEPTIONS];

	for (unsigned i = 0; i < EXCEPTIONS; i++)
		gates[i] = (struct pv_gate){
		    .vector = (uint8_t)i,
		    .dpl = i == 3 ? 3 : 0,
		    .irq_off = true,
		    .handler = (uint64_t)(uintptr_t)trap_stubs_xen + i * STUB_SIZE,
		};
	pv_load_idt(gates, EXCEPTIONS);
}

/* The same for a vCPU that is not made yet: gates by vector, and where upcalls come in. */
void trap_xen_context(struct vcpu_guest_context *ctx)
{
	for (unsigned i = 0; i < EXCEPTIONS; i++)
		ctx->trap_ctxt[i] = (struct trap_info){
		    .vector = (uint8_t)i,
		    .flags = (i == 3 ? 3 : 0) | TRAP_INFO_EVENTS_OFF,
		    .cs = FLAT_KERNEL_CS,
		    .address = (uint64_t)(uintptr_t)trap_stubs_xen + i * STUB_SIZE,
		};
	ctx->event_callback_eip = (uint64_t)(uintptr_t)xen_event_upcall;
	ctx->failsafe_callback_eip = (uint64_t)(uintptr_t)xen_failsafe_upcall;
}

static void set_callback(uint16_t type, void (*entry)(void))
{
	struct callback_register cb = {
	    .type = type, .flags = CALLBACKF_mask_events, .address = (unsigned long)entry};
	int64_t err = hypercall_callback_op(CALLBACKOP_register, &cb);

	if (err)
		panic("the hypervisor refuses callback %u (%d)", type, (int)err);
}

/* PHYSDEVOP_set_iopl: refused where we own no hardware, which privileged should have told. */
static void take_io_rights(void)
{
	struct physdev_set_iopl iopl = {.iopl = 1};

	if (hypercall_physdev_op(PHYSDEVOP_set_iopl, &iopl))
		boot.privileged = false;
}

void trap_init_xen_pv(void)
{
	make_gates();
	set_callback(CALLBACKTYPE_event, xen_event_upcall);
	set_callback(CALLBACKTYPE_failsafe, xen_failsafe_upcall);
	if (boot.privileged)
		take_io_rights();
}

/* What else was told was in its context. */
void trap_init_cpu_xen_pv(void)
{
	if (boot.privileged)
		take_io_rights();
}

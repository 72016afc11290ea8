/* user_xen.c: ring 3 in a PV domain: where system calls come in, and a GDT for the TLS descriptor.
 *
 * Called by user.c before the first program, and by user_cpu.c on each vCPU before its first. Kernel and programs run in the processor's ring 3 both,
 * on the hypervisor's flat segments; what parts them is the page table, and the hypervisor switches that
 * with the mode: to the program's by iret, to ours by exceptions, upcalls and the syscall callback.
 */
#include <amphi/hypercall.h>
#include <amphi/percpu.h>
#include <amphi/pvops.h>

#include "mm.h"
#include "mm_parts.h"
#include "panic.h"
#include "smp.h"
#include "user_parts.h"

#define SEL_TLS 0x38u /* as natively: a program sees no difference */

/* Each vCPU has its own, for its program's descriptors; made for all there are while there may be an error. */
static struct user_tables tables[CPUS_MAX];
static uint64_t sp0[CPUS_MAX];

/* A page of descriptors must not be writable anywhere. Pages of an earlier try are kept. */
static int make_gdt(struct user_tables *t, uint64_t *own_sp0)
{
	t->sp0 = own_sp0;
	if (t->gdt)
		return 0;
	t->gdt = pages_alloc(1);
	if (!t->gdt)
		return -XEN_ENOMEM;
	mm_make_readonly(virt_to_pfn(t->gdt), true);
	return 0;
}

/* The callback cannot be refused: its address is the kernel's own. */
static void begin_cpu(struct user_tables *out)
{
	struct callback_register cb = {.type = CALLBACKTYPE_syscall,
				       .flags = CALLBACKF_mask_events,
				       .address = (unsigned long)xen_syscall_upcall};
	int64_t error = hypercall_callback_op(CALLBACKOP_register, &cb);

	if (error)
		panic("the hypervisor refuses system calls (%d)", (int)error);
	*out = tables[this_cpu()->cpu];
	pv_load_gdt(out->gdt, SEL_TLS / 8 + PV_TLS_ENTRIES);
}

int user_init_xen_pv(void)
{
	int error = 0;

	for (unsigned cpu = 0; cpu < smp_count() && !error; cpu++)
		error = make_gdt(&tables[cpu], &sp0[cpu]);
	if (error)
		return error;
	user_platform = (struct user_platform){
	    .n_roots = 2,
	    .cs = FLAT_USER_CS64,
	    .ss = FLAT_USER_SS64,
	    .tls = SEL_TLS,
	    .begin_cpu = begin_cpu,
	};
	return 0;
}

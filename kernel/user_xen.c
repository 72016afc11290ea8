/* user_xen.c: ring 3 in a PV domain: where system calls come in, and a GDT for the TLS descriptor.
 *
 * Called once by user.c, before the first program. Kernel and programs run in the processor's ring 3 both,
 * on the hypervisor's flat segments; what parts them is the page table, and the hypervisor switches that
 * with the mode: to the program's by iret, to ours by exceptions, upcalls and the syscall callback.
 */
#include <amphi/hypercall.h>
#include <amphi/pvops.h>

#include "mm.h"
#include "mm_parts.h"
#include "user_parts.h"

#define SEL_TLS 0x38u /* as natively: a program sees no difference */

/* A page of descriptors must not be writable anywhere. */
static uint64_t *make_gdt(void)
{
	uint64_t *gdt = pages_alloc(1);

	if (!gdt)
		return NULL;
	mm_make_readonly(virt_to_pfn(gdt), true);
	pv_load_gdt(gdt, SEL_TLS / 8 + 1);
	return gdt;
}

int user_init_xen_pv(void)
{
	static uint64_t sp0;
	struct callback_register cb = {.type = CALLBACKTYPE_syscall,
				       .flags = CALLBACKF_mask_events,
				       .address = (unsigned long)xen_syscall_upcall};
	int error = (int)hypercall_callback_op(CALLBACKOP_register, &cb);
	uint64_t *gdt = error ? NULL : make_gdt();

	if (!gdt)
		return error ? error : -XEN_ENOMEM;
	user_platform = (struct user_platform){
	    .n_roots = 2,
	    .cs = FLAT_USER_CS64,
	    .ss = FLAT_USER_SS64,
	    .tls = SEL_TLS,
	    .gdt = gdt,
	    .sp0 = &sp0,
	};
	return 0;
}

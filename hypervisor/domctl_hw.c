/* domctl_hw.c: domctl's commands about frames, I/O rights, and the hypercall page.
 *
 * Decodes ranges (refusing those that are empty or wrap) and hands on to io and mm. The hypercall
 * page is a page of the guest's own into which the entry stubs are written once; the guest may do
 * with it what it likes, and only hurt itself.
 *
 * Called through the table in domctl.c; hypercall_page_fill also by the builder of the first
 * domain.
 */
#include <amphi/string.h>

#include "domctl_parts.h"
#include "guest.h"

int domctl_permission(struct domain *d, struct xen_domctl *op)
{
	const struct xen_domctl_irq_permission *irq = &op->u.irq_permission;
	const struct xen_domctl_iomem_permission *m = &op->u.iomem_permission;
	const struct xen_domctl_ioport_permission *p = &op->u.ioport_permission;
	uint64_t last = m->first_mfn + m->nr_mfns - 1;

	if (op->cmd == XEN_DOMCTL_irq_permission)
		return io_irq_permit(d, irq->pirq, irq->allow_access);
	if (op->cmd == XEN_DOMCTL_iomem_permission) {
		if (m->nr_mfns == 0 || last < m->first_mfn)
			return -XEN_EINVAL;
		return io_mem_permit(d, (mfn_t){m->first_mfn}, (mfn_t){last}, m->allow_access);
	}
	if (p->nr_ports == 0 || p->first_port > 0xffff || p->nr_ports > 0x10000 - p->first_port)
		return -XEN_EINVAL;
	return io_port_permit(d, p->first_port, p->first_port + p->nr_ports - 1, p->allow_access);
}

/* ---- the hypercall page ---------------------------------------------------------------- */

#define STUB_BYTES 32u

/* push %rcx; push %r11; mov $number, %eax; syscall; pop %r11; pop %rcx; ret: the instruction
 * destroys rcx and r11, which callers want kept. */
static const uint8_t stub_call[] = {0x51, 0x41, 0x53, 0xb8, 0,    0,    0,
				    0,    0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3};
#define STUB_CALL_NUMBER 4u

/* iret does not come back: it pushes what completes struct iret_context (xen/arch-x86) instead. */
static const uint8_t stub_iret[] = {0x51, 0x41, 0x53, 0x50, 0xb8, __HYPERVISOR_iret,
				    0,    0,    0,    0x0f, 0x05};

void hypercall_page_fill(void *page)
{
	uint8_t *stub = page;
	unsigned n;

	memset(page, 0xcc, PAGE_SIZE);
	for (n = 0; n < PAGE_SIZE / STUB_BYTES; n++, stub += STUB_BYTES) {
		memcpy(stub, stub_call, sizeof(stub_call));
		stub[STUB_CALL_NUMBER] = (uint8_t)n;
	}
	stub = (uint8_t *)page + __HYPERVISOR_iret * STUB_BYTES;
	memset(stub, 0xcc, STUB_BYTES);
	memcpy(stub, stub_iret, sizeof(stub_iret));
}

/* Writable for the moment only: a page in use as a table must not be overwritten. */
int domctl_hypercall_init(struct domain *d, struct xen_domctl *op)
{
	struct page_info *page;

	if (page_get_and_type((mfn_t){op->u.hypercall_init.gmfn}, d, PT_WRITABLE, &page))
		return -XEN_EACCES;
	hypercall_page_fill(page_to_virt(page));
	page_put_and_type(page);
	return 0;
}

/* ---- frames ---------------------------------------------------------------------------- */

#define PAGE_INFO_MAX 1024u /* as Xen: a page of answers is enough for one call */

int domctl_getpageframeinfo3(struct domain *d, struct xen_domctl *op)
{
	const struct xen_domctl_getpageframeinfo3 *p = &op->u.getpageframeinfo3;
	xen_pfn_t word;
	uint64_t i;

	if (p->num > PAGE_INFO_MAX)
		return -XEN_E2BIG;
	for (i = 0; i < p->num; i++) {
		if (handle_read(&word, p->array, i))
			return -XEN_EFAULT;
		word = mm_frame_info(d, (mfn_t){word});
		if (handle_write(p->array, i, &word))
			return -XEN_EFAULT;
	}
	return 0;
}

/* iospace_faults.c: what devices of ours tried and may not, as the hypervisor tells their owner.
 *
 * Called by host_iospace.c at the start, then by VIRQ_IOSPACE. Calls iospace.h's hypercall. One line a fault, with the grant where the page is
 * somebody's. The hypervisor keeps few and takes the right to master the bus from a device that does nothing else, so the log is
 * not flooded. Functions are called by the machine's numbers here, which are the hypervisor's and its console's.
 */
#include <amphi/host_control.h>
#include <amphi/hypercall.h>
#include <amphi/iospace.h>

#include "console.h"
#include "host_iospace.h"

static void say(const struct iospace_op *op)
{
	const struct iospace_fault *f = &op->u.fault;

	klog(LOG_WARN, "iospace: %02x:%02x.%x may not %s %llx", f->sbdf >> 8 & 0xff,
	     f->sbdf >> 3 & 31, f->sbdf & 7,
	     op->flags & IOSPACE_INTERRUPT ? "send interrupt"
	     : op->flags & IOSPACE_WRITE   ? "write"
					   : "read",
	     (unsigned long long)f->address);
	if (op->flags & IOSPACE_GREF)
		klog(LOG_WARN, "iospace: that is grant %u of domain %u", f->ref, f->granter);
	if (op->flags & IOSPACE_LOST)
		klog(LOG_WARN, "iospace: others were lost");
}

static void on_fault(void *ctx)
{
	struct iospace_op op;

	do {
		op = (struct iospace_op){.cmd = IOSPACE_next_fault, .status = -XEN_EIO};
		if (hypercall_iospace_op(&op, 1) || op.status)
			return;
		say(&op);
	} while (true);
}

void iospace_watch_faults(void)
{
	port_t port;
	int err = host_virq_bind(VIRQ_IOSPACE, on_fault, NULL, &port);

	if (err)
		klog(LOG_WARN, "iospace: nobody tells of faults, error %d", -err);
}

/* io.c: which I/O ports and which device memory a domain may use.
 *
 * Callers: domctl, dom0.c, the emulator (ports), mm (device frames). Ports are a bitmap of 8 KiB,
 * made when the first right is given; device memory is a short list of ranges. What the
 * hypervisor drives itself is refused to everybody: the interrupt controllers, IOMMUs and its console.
 * Interrupts are in pirq.c.
 */
#include <amphi/string.h>

#include "apic.h"
#include "domain.h"
#include "pirq.h"
#include "serial.h"

#define PORTS        0x10000u
#define BITMAP_ORDER 1u /* 8 KiB */

void io_domain_teardown(struct domain *d)
{
	pirq_domain_teardown(d);
	if (d->io.ports != NULL)
		hv_page_free(d->io.ports, BITMAP_ORDER);
	d->io.ports = NULL;
	d->io.range_count = 0;
}

/* ---- ports ----------------------------------------------------------------------------- */

/* Whole bytes at once where it can: the first domain gets all 65,536. */
static void set_ports(uint8_t *map, uint32_t first, uint32_t last, bool allow)
{
	uint32_t p = first;

	while (p <= last) {
		uint8_t bit = (uint8_t)(1u << (p & 7));

		if ((p & 7) == 0 && last - p >= 7) {
			map[p / 8] = allow ? 0xff : 0;
			p += 8;
			continue;
		}
		map[p / 8] = (uint8_t)(allow ? map[p / 8] | bit : map[p / 8] & ~bit);
		p++;
	}
}

int io_port_permit(struct domain *d, uint32_t first, uint32_t last, bool allow)
{
	struct domain_io *io = &d->io;
	uint8_t *spare;

	if (first > last || last >= PORTS)
		return -XEN_EINVAL;
	spare = io->ports == NULL && allow ? hv_page_alloc(BITMAP_ORDER) : NULL;
	spin_lock(&io->lock);
	if (io->ports == NULL) {
		io->ports = spare;
		spare = NULL;
	}
	if (io->ports != NULL)
		set_ports(io->ports, first, last, allow);
	spin_unlock(&io->lock);
	if (spare != NULL)
		hv_page_free(spare, BITMAP_ORDER);
	return io->ports == NULL && allow ? -XEN_ENOMEM : 0;
}

/* Interrupt controllers, and the timer that clock.c may be reading. */
static bool is_ours(uint32_t port)
{
	return port == 0x20 || port == 0x21 || port == 0xa0 || port == 0xa1 ||
	       (port >= 0x40 && port <= 0x43) || serial_owns_port(port);
}

bool io_port_allowed(struct domain *d, uint32_t port, unsigned bytes)
{
	const uint8_t *map = d->io.ports;

	if (map == NULL || port + bytes > PORTS)
		return false;
	for (uint32_t p = port; p < port + bytes; p++)
		if ((map[p / 8] >> (p & 7) & 1) == 0 || is_ours(p))
			return false;
	return true;
}

/* ---- device memory --------------------------------------------------------------------- */

/* Takes [first, last] out of every range; a hole within one needs a further place, which the
 * caller has made sure of. */
static void cut(struct domain_io *io, uint64_t first, uint64_t last)
{
	for (unsigned i = io->range_count; i-- != 0;) {
		struct io_mem_range *r = &io->ranges[i];
		struct io_mem_range before = {r->first, first - 1}, after = {last + 1, r->last};
		bool has_before = r->first<first, has_after = r->last> last;

		if (r->last < first || r->first > last)
			continue;
		if (has_before && has_after) {
			*r = before;
			io->ranges[io->range_count++] = after;
			return;
		}
		if (has_before || has_after)
			*r = has_before ? before : after;
		else
			*r = io->ranges[--io->range_count];
	}
}

int io_mem_permit(struct domain *d, mfn_t first, mfn_t last, bool allow)
{
	struct domain_io *io = &d->io;
	int rc = 0;

	if (first.v > last.v)
		return -XEN_EINVAL;
	spin_lock(&io->lock);
	if (io->range_count + 1 >= IO_MEM_RANGES) {
		rc = -XEN_ENOSPC;
	} else {
		cut(io, first.v, last.v);
		if (allow)
			io->ranges[io->range_count++] = (struct io_mem_range){first.v, last.v};
	}
	spin_unlock(&io->lock);
	return rc;
}

bool io_mem_allowed(struct domain *d, mfn_t mfn)
{
	struct domain_io *io = &d->io;
	bool found = false;

	if (apic_owns_frame(mfn) || ioapic_owns_frame(mfn) || iommu_owns_frame(mfn))
		return false;
	spin_lock(&io->lock);
	for (unsigned i = 0; i < io->range_count && !found; i++)
		found = mfn.v >= io->ranges[i].first && mfn.v <= io->ranges[i].last;
	spin_unlock(&io->lock);
	return found;
}

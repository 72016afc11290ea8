/* host_pci_control.c: which PCI functions our drivers have, which are free, and which are lent to guests.
 *
 * Contract: amphi/host_pci_control.h. Callers: control/, in the worker context. Not here: what the hypervisor is told
 * (control_pci.c), and what the back half does with a function (host_pci.c). Calls drivers.h, pci.h, machine.h.
 */
#include <amphi/drivers.h>
#include <amphi/hypercall.h>
#include <amphi/machine.h>

#include "boot.h"
#include "host_pci.h"
#include "machine_input.h"
#include "partition_late.h"

#define CLASS_BRIDGE 0x06u
#define CLASS_NVME   0x010802u

#define REG_COMMAND    0x04u
#define COMMAND_MEMORY 0x02u

static struct pci_seat seats[PCI_FUNCTIONS_MAX];

/* A virtual one has none (PCI Express 4.0, 9.3.4.1.16). */
static void read_line(const struct pci_function *f, struct pci_seat *s)
{
	uint32_t reg = f->physical == f->bdf ? machine_pci_read(f->bdf, REG_LINE, 2) : 0;

	s->line = machine_input_of(reg);
	s->only_line = reg >> 8 && !pci_find_capability(f, PCI_CAP_MSI, 0) &&
		       !pci_find_capability(f, PCI_CAP_MSIX, 0);
}

/* A function that came to a place where another was begins anew. A free one is measured at each look: nobody is disturbed, and
 * what it was at the first need not be what it is when it is given away. */
static struct pci_seat *seat_at(unsigned n, const struct pci_function *f)
{
	struct pci_seat *s = &seats[n];

	if (s->bdf != f->bdf)
		*s = (struct pci_seat){.bdf = f->bdf};
	if (!s->measured || s->state == HOST_PCI_FREE) {
		pci_measure(f, &s->bars);
		read_line(f, s);
		s->measured = true;
	}
	return s;
}

struct pci_seat *pci_seat(uint16_t bdf, const struct pci_function **out)
{
	const struct pci_function *f;

	for (unsigned n = 0; (f = pci_get(n)) != NULL; n++) {
		if (f->bdf == bdf) {
			*out = f;
			return seat_at(n, f);
		}
	}
	return NULL;
}

enum host_pci_state pci_owner(uint16_t bdf, domid_t *out_guest)
{
	const struct pci_function *f;

	for (unsigned n = 0; (f = pci_get(n)) != NULL; n++) {
		if (f->bdf != bdf || seats[n].bdf != bdf)
			continue;
		*out_guest = seats[n].guest;
		return seats[n].state;
	}
	return HOST_PCI_OURS;
}

/* A register of 64 bits takes the next one's place too. */
static void read_ranges(const struct pci_bars *b, struct host_pci_range *out)
{
	for (unsigned i = 0; i < HOST_PCI_BARS; i++) {
		bool ports = b->bar[i] & 1, wide = !ports && (b->bar[i] & 6) == 4 && i < 5;
		uint64_t mask = b->probe[i] & (ports ? ~3u : ~0xfu);
		uint64_t start = b->bar[i] & (ports ? ~3u : ~0xfu);

		if (!b->probe[i])
			continue;
		mask |= (uint64_t)(wide ? b->probe[i + 1] : ~0u) << 32;
		out[i] = (struct host_pci_range){
		    .start = start | (wide ? (uint64_t)b->bar[i + 1] << 32 : 0),
		    .bytes = ports ? (~mask + 1) & 0xffff : ~mask + 1,
		    .ports = ports,
		};
		i += wide;
	}
}

bool host_pci_nth(unsigned n, struct host_pci_function *out)
{
	const struct pci_function *f = pci_get(n);
	const struct pci_seat *s;

	if (!f)
		return false;
	*out = (struct host_pci_function){
	    .bdf = f->bdf,
	    .vendor = f->vendor,
	    .device = f->device,
	    .class_code = f->class_code,
	    .physical = f->physical,
	    .bridge = f->class_code >> 16 == CLASS_BRIDGE,
	};
	if (out->bridge) /* some decode more than their base registers say: they are not touched */
		return true;
	s = seat_at(n, f);
	out->state = s->state;
	out->guest = s->guest;
	out->line = s->line;
	out->only_line = s->only_line;
	read_ranges(&s->bars, out->ranges);
	return true;
}

/* Xen 4.17 maps no pirqs for a PVH domain, whoever they are for, and tells it no memory map of the machine. */
const char *host_pci_why_not(void)
{
	return boot.platform == BOOT_XEN_PVH ? "a PVH domain cannot map interrupts for others"
					     : NULL;
}

void host_pci_let_go(uint16_t bdf)
{
	const struct pci_function *f;
	struct pci_seat *s = pci_seat(bdf, &f);

	if (!s || s->state != HOST_PCI_OURS)
		return;
	drivers_native_remove(bdf);
	pci_disable(f);
	s->state = HOST_PCI_FREE;
}

/* One that no scan finds is not looked at again, and would be forgotten if it were. */
void host_pci_take(uint16_t bdf)
{
	const struct pci_function *f;
	struct pci_seat *s = pci_seat(bdf, &f);

	if (!s || s->state != HOST_PCI_FREE || f->physical != bdf)
		return;
	s->state = HOST_PCI_OURS;
	drivers_native_add(bdf);
	partitions_find_soon();
}

/* A domain that had its MSI-X table mapped for writing before the hypervisor knew of it could send what it likes: Xen ends such a
 * domain. So the table is made the hypervisor's before the function is anybody's, until it is free again. Xen reads where the
 * table is only while the function decodes. One that needs no such word does not know the call, or ignores it. */
static int tell_msix(const struct pci_function *f, unsigned long cmd)
{
	struct physdev_pci_device dev = {.bus = (uint8_t)(f->bdf >> 8), .devfn = (uint8_t)f->bdf};
	uint32_t command = machine_pci_read(f->bdf, REG_COMMAND, 2);
	int err;

	if (!pci_find_capability(f, PCI_CAP_MSIX, 0))
		return 0;
	machine_pci_write(f->bdf, REG_COMMAND, 2, command | COMMAND_MEMORY);
	err = (int)hypercall_physdev_op(cmd, &dev);
	machine_pci_write(f->bdf, REG_COMMAND, 2, command);
	return err == -XEN_ENOSYS ? 0 : err;
}

int host_pci_lend(uint16_t bdf, domid_t guest)
{
	const struct pci_function *f;
	struct pci_seat *s = pci_seat(bdf, &f);
	int err;

	if (!s)
		return -XEN_ENODEV;
	err = tell_msix(f, PHYSDEVOP_prepare_msix);
	if (err)
		return err;
	s->state = HOST_PCI_LENT;
	s->guest = guest;
	return 0;
}

void host_pci_back(uint16_t bdf)
{
	const struct pci_function *f;
	struct pci_seat *s = pci_seat(bdf, &f);

	if (!s)
		return;
	if (s->state == HOST_PCI_LENT)
		(void)tell_msix(f, PHYSDEVOP_release_msix);
	s->state = HOST_PCI_FREE;
	s->claimed = s->line_on = false;
}

/* The new ones are behind all others in the list. */
static int free_virtual(uint16_t physical)
{
	const struct pci_function *f;
	int count = 0;

	for (unsigned n = 0; (f = pci_get(n)) != NULL; n++) {
		if (f->physical != physical || f->bdf == physical)
			continue;
		seat_at(n, f)->state = HOST_PCI_FREE;
		count++;
	}
	return count;
}

static bool has_virtual(uint16_t physical)
{
	const struct pci_function *f;

	for (unsigned n = 0; (f = pci_get(n)) != NULL; n++)
		if (f->physical == physical && f->bdf != physical)
			return true;
	return false;
}

/* The driver makes them when it starts, before its own queues. */
int host_pci_virtual(uint16_t bdf, unsigned count)
{
	const struct pci_function *f;
	struct pci_seat *s = pci_seat(bdf, &f);
	unsigned usual = drivers_wanted_vfs;
	int got;

	if (!s || s->state != HOST_PCI_OURS || f->class_code != CLASS_NVME)
		return -XEN_ENODEV;
	if (has_virtual(bdf))
		return -XEN_EBUSY;
	drivers_native_remove(bdf);
	drivers_wanted_vfs = count;
	drivers_native_add(bdf);
	drivers_wanted_vfs = usual;
	partitions_find_soon(); /* its disks are new ones */
	got = free_virtual(bdf);
	return got ? got : -XEN_ENODEV;
}

void host_pci_wait_us(unsigned us)
{
	machine_delay_us(us);
}

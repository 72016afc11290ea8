/* mock_pci.c: the machine's functions of mock_pci.h.
 *
 * Called by pciback (host_pci.h) and by tests. A call that pciback must not make, as one for a function it has not claimed, or
 * of no width, ends the test.
 */
#include <stdlib.h>
#include <string.h>

#include "mock_host.h"
#include "mock_pci.h"

static struct mock_pci functions[MOCK_PCI_MAX];
static unsigned n_functions;
static uint32_t next_pirq;

void mock_pci_reset(void)
{
	memset(functions, 0, sizeof(functions));
	n_functions = 0;
	next_pirq = 16;
}

struct mock_pci *mock_pci_find(uint16_t bdf)
{
	for (unsigned i = 0; i < n_functions; i++)
		if (functions[i].bdf == bdf)
			return &functions[i];
	return NULL;
}

struct mock_pci *mock_pci_add(uint16_t bdf, uint32_t id, domid_t given_to)
{
	struct mock_pci *f = mock_pci_find(bdf);

	if (!f && n_functions == MOCK_PCI_MAX)
		abort();
	if (!f)
		f = &functions[n_functions++];
	*f = (struct mock_pci){.bdf = bdf,
			       .there = true,
			       .given_to = given_to,
			       .claimed_by = DOMID_INVALID,
			       .vectors_left = 256,
			       .info.id = id};
	mock_pci_put(f, 0, 4, id);
	return f;
}

void mock_pci_put(struct mock_pci *f, unsigned at, unsigned width, uint32_t value)
{
	memcpy(f->space + at, &value, width);
}

uint32_t mock_pci_get(const struct mock_pci *f, unsigned at, unsigned width)
{
	uint32_t value = 0;

	memcpy(&value, f->space + at, width);
	return value;
}

void mock_pci_cap(struct mock_pci *f, unsigned at, unsigned id, unsigned next)
{
	if (!f->space[0x34])
		f->space[0x34] = (uint8_t)at;
	f->space[6] |= 0x10;
	f->space[at] = (uint8_t)id;
	f->space[at + 1] = (uint8_t)next;
}

unsigned mock_pci_claimed(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < n_functions; i++)
		n += functions[i].claimed_by != DOMID_INVALID;
	return n;
}

unsigned mock_pci_vectors(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < n_functions; i++)
		n += functions[i].n_on;
	return n;
}

/* ---- host_pci.h ------------------------------------------------------------------------------------ */

int host_pci_claim(uint16_t bdf, domid_t guest, struct host_pci_info *out_info)
{
	struct mock_pci *f = mock_pci_find(bdf);

	if (mock_should_fail())
		return -XEN_ENOMEM;
	if (!f || !f->there)
		return -XEN_ENODEV;
	if (f->claimed_by != DOMID_INVALID)
		return -XEN_EBUSY;
	if (f->given_to != guest)
		return -XEN_EPERM;
	f->claimed_by = guest;
	f->n_claims++;
	*out_info = f->info;
	return 0;
}

static struct mock_pci *claimed(uint16_t bdf)
{
	struct mock_pci *f = mock_pci_find(bdf);

	if (!f || f->claimed_by == DOMID_INVALID)
		mock_bug("function %04x is used, and was not claimed", bdf);
	return f;
}

void host_pci_release(uint16_t bdf, domid_t guest)
{
	struct mock_pci *f = claimed(bdf);

	if (f->claimed_by != guest || f->n_on || (f->there && f->space[4] & 4))
		mock_bug("function %04x is released, and not quiet", bdf);
	f->claimed_by = DOMID_INVALID;
	f->n_releases++;
}

static void check_access(unsigned offset, unsigned width)
{
	if ((width != 1 && width != 2 && width != 4) || offset >= 4096 || offset % width)
		mock_bug("an access of %u bytes at %x", width, offset);
}

uint32_t host_pci_read(uint16_t bdf, unsigned offset, unsigned width)
{
	struct mock_pci *f = claimed(bdf);

	check_access(offset, width);
	f->n_reads++;
	return f->there ? mock_pci_get(f, offset, width) : ~0u >> (32 - 8 * width);
}

void host_pci_write(uint16_t bdf, unsigned offset, unsigned width, uint32_t value)
{
	struct mock_pci *f = claimed(bdf);

	check_access(offset, width);
	if (width < 4 && value >> (8 * width))
		mock_bug("a value of more than %u bytes at %x", width, offset);
	f->n_writes++;
	f->last_at = offset;
	f->last_width = width;
	f->last_value = value;
	for (unsigned i = 0; i < width && f->there; i++) {
		uint8_t new = (uint8_t)(value >> (8 * i)), *at = &f->space[offset + i];
		uint8_t fixed = f->fixed[offset + i] | f->clears[offset + i];

		*at = (uint8_t)((*at & fixed & ~(new & f->clears[offset + i])) | (new & ~fixed));
	}
}

int host_pci_interrupts_on(uint16_t bdf, domid_t guest, enum host_pci_kind kind,
			   const uint16_t *entries, unsigned count, uint32_t *out_pirqs)
{
	struct mock_pci *f = claimed(bdf);

	if (f->n_on || !count || count > HOST_PCI_VECTORS || f->claimed_by != guest ||
	    (kind == HOST_PCI_MSI) != !entries)
		mock_bug("interrupts of %04x turned on wrongly", bdf);
	if (count > f->vectors_left || mock_should_fail())
		return -XEN_ENOSPC;
	f->kind = kind;
	f->n_on = count;
	f->decoded = f->space[4] & 2;
	for (unsigned i = 0; i < count; i++) {
		f->entries[i] = entries ? entries[i] : (uint16_t)i;
		out_pirqs[i] = next_pirq++ & 0xffff;
	}
	return 0;
}

void host_pci_interrupts_off(uint16_t bdf, domid_t guest, enum host_pci_kind kind,
			     const uint32_t *pirqs, unsigned count)
{
	struct mock_pci *f = claimed(bdf);

	if (f->n_on != count || f->kind != kind || f->claimed_by != guest || !pirqs[0])
		mock_bug("interrupts of %04x taken back wrongly", bdf);
	if (f->there && f->decoded && !(f->space[4] & 2))
		mock_bug("interrupts of %04x taken back while its registers do not answer", bdf);
	f->n_on = 0;
	f->n_offs++;
}

int host_pci_interrupts_again(uint16_t bdf, enum host_pci_kind kind, unsigned count)
{
	struct mock_pci *f = claimed(bdf);

	if (f->n_on != count || f->kind != kind)
		mock_bug("interrupts of %04x that are not on", bdf);
	f->n_again++;
	return f->there ? 0 : -XEN_ENODEV;
}

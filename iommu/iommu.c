/* iommu.c: the units of the machine, the spaces, and which function is in which.
 *
 * Callers: through iommu.h the hypervisor, and the kernel on a bare machine. Calls the unit's ops. All that is refused is refused
 * here; what is not, the ops do. A function that is not in the list of its unit's members reaches nothing.
 */
#include <amphi/host_iommu.h>
#include <amphi/string.h>
#include <amphi/xen.h>

#include "firmware_table.h"
#include "iommu_ops.h"

#define UNITS_MAX    8u
#define RESERVED_MAX 32u
#define CUT_AT_ONCE  32u

/* A function that sees something. */
struct iommu_member {
	struct iommu_member *next;
	struct iommu_space *space; /* NULL: it is passed */
	uint16_t bdf;
};

static struct iommu *units[UNITS_MAX];
static unsigned n_units;
static struct iommu_reserved reserved[RESERVED_MAX];
static unsigned n_reserved;

/* ---- what there is --------------------------------------------------------------------------------- */

int iommu_add(struct iommu *unit)
{
	if (n_units == UNITS_MAX)
		return -XEN_ENOSPC;
	unit->taken = host_iommu_alloc(DIV_ROUND_UP(unit->traits.spaces, 64u) * sizeof(uint64_t));
	if (!unit->taken)
		return -XEN_ENOMEM;
	unit->taken[0] = 1;
	units[n_units++] = unit;
	return 0;
}

int iommu_add_reserved(const struct iommu_reserved *r)
{
	if (n_reserved == RESERVED_MAX)
		return -XEN_ENOSPC;
	reserved[n_reserved++] = *r;
	return 0;
}

void iommu_drop_senders(struct iommu *unit)
{
	if (unit->senders)
		host_iommu_free(unit->senders, IOMMU_VECTORS * sizeof(*unit->senders));
	unit->senders = NULL;
}

/* Those that were found before the error are let go. */
static void forget(void)
{
	while (n_units) {
		struct iommu *unit = units[--n_units];

		iommu_drop_senders(unit);
		host_iommu_free(unit->taken,
				DIV_ROUND_UP(unit->traits.spaces, 64u) * sizeof(uint64_t));
		unit->ops->stop(unit);
	}
	n_reserved = 0;
}

void iommu_take_scopes(struct iommu *unit, const struct firmware_unit *u)
{
	unit->all_others = u->all_others;
	unit->n_scopes = u->n_scopes;
	memcpy(unit->scopes, u->scopes, sizeof(u->scopes));
	unit->n_aliases = u->n_aliases;
	memcpy(unit->aliases, u->aliases, sizeof(u->aliases));
	unit->n_ioapics = u->n_ioapics;
	memcpy(unit->ioapics, u->ioapics, sizeof(u->ioapics));
}

int iommu_start_units(struct firmware *f, int err,
		      int (*start)(const struct firmware *f, unsigned n))
{
	if (!f)
		return err;
	if (err)
		host_iommu_log("the %s table: %s", f->name, f->problem);
	for (unsigned i = 0; i < f->n_units && !err; i++)
		err = start(f, i);
	for (unsigned i = 0; i < f->n_reserved && !err; i++)
		err = iommu_add_reserved(&f->reserved[i]);
	host_iommu_free(f, sizeof(*f));
	return err;
}

int iommu_found(int err)
{
	if (!err && n_units)
		return (int)n_units;
	forget();
	return err ? err : -XEN_ENODEV;
}

int iommu_start(const void *table, size_t len)
{
	int err = -XEN_EINVAL;

	if (len >= 4 && !memcmp(table, "DMAR", 4))
		err = vtd_start(table, len);
	else if (len >= 4 && !memcmp(table, "IVRS", 4))
		err = amdvi_start(table, len);
	return iommu_found(err);
}

struct iommu *iommu_get(unsigned n)
{
	return n < n_units ? units[n] : NULL;
}

struct iommu *iommu_of(uint16_t bdf)
{
	struct iommu *rest = NULL;

	for (unsigned u = 0; u < n_units; u++) {
		for (unsigned i = 0; i < units[u]->n_scopes; i++)
			if (bdf >= units[u]->scopes[i].first_bdf &&
			    bdf <= units[u]->scopes[i].last_bdf)
				return units[u];
		if (units[u]->all_others)
			rest = units[u];
	}
	return rest;
}

const struct iommu_traits *iommu_traits(const struct iommu *unit)
{
	return &unit->traits;
}

const char *iommu_name(const struct iommu *unit)
{
	return unit->name;
}

const struct iommu_reserved *iommu_reserved(unsigned n)
{
	return n < n_reserved ? &reserved[n] : NULL;
}

const struct iommu_alias *iommu_alias(unsigned n)
{
	for (unsigned u = 0; u < n_units; n -= units[u++]->n_aliases)
		if (n < units[u]->n_aliases)
			return &units[u]->aliases[n];
	return NULL;
}

/* ---- spaces ---------------------------------------------------------------------------------------- */

static int take_number(struct iommu *unit, uint16_t *out_number)
{
	for (unsigned n = 1; n < unit->traits.spaces; n++) {
		if (unit->taken[n / 64] >> n % 64 & 1)
			continue;
		unit->taken[n / 64] |= 1ull << n % 64;
		*out_number = (uint16_t)n;
		return 0;
	}
	return -XEN_ENOSPC;
}

static void give_number(struct iommu *unit, uint16_t n)
{
	unit->taken[n / 64] &= ~(1ull << n % 64);
}

int iommu_space_new(struct iommu *unit, unsigned max_tables, struct iommu_space **out_space)
{
	struct iommu_space *space = host_iommu_alloc(sizeof(*space));
	int err;

	if (!space)
		return -XEN_ENOMEM;
	space->unit = unit;
	space->table.max_pages = max_tables;
	err = take_number(unit, &space->number);
	if (err)
		goto out_space_memory;
	unit->ops->shape(unit, &space->table);
	err = io_table_init(&space->table);
	if (err)
		goto out_number;
	*out_space = space;
	return 0;

out_number:
	give_number(unit, space->number);
out_space_memory:
	host_iommu_free(space, sizeof(*space));
	return err;
}

/* The number is given to another: what the unit knows under it is flushed first. */
int iommu_space_free(struct iommu_space *space)
{
	int err;

	if (space->n_functions)
		return -XEN_EBUSY;
	err = space->unit->ops->flush(space->unit, space, 0, 0, true);
	if (err)
		return err;
	io_table_free(&space->table);
	give_number(space->unit, space->number);
	host_iommu_free(space, sizeof(*space));
	return 0;
}

unsigned iommu_space_tables(const struct iommu_space *space)
{
	return space->table.n_pages;
}

unsigned iommu_space_functions(const struct iommu_space *space)
{
	return space->n_functions;
}

void iommu_space_limit(struct iommu_space *space, unsigned max_tables)
{
	space->table.max_pages = max_tables;
}

/* ---- functions ------------------------------------------------------------------------------------- */

static struct iommu_member **find(struct iommu *unit, uint16_t bdf)
{
	struct iommu_member **at = &unit->members;

	while (*at && (*at)->bdf != bdf)
		at = &(*at)->next;
	return at;
}

static int join(struct iommu *unit, struct iommu_space *space, uint16_t bdf)
{
	struct iommu_member *m;
	int err;

	if (*find(unit, bdf))
		return -XEN_EBUSY;
	m = host_iommu_alloc(sizeof(*m));
	if (!m)
		return -XEN_ENOMEM;
	err = unit->ops->attach(unit, space, bdf);
	if (err) {
		host_iommu_free(m, sizeof(*m));
		return err;
	}
	*m = (struct iommu_member){.next = unit->members, .space = space, .bdf = bdf};
	unit->members = m;
	if (space)
		space->n_functions++;
	return 0;
}

/* A unit that does not answer keeps the function where it is, in the books: its pages stay its own. */
static int leave(struct iommu *unit, struct iommu_space *space, uint16_t bdf)
{
	struct iommu_member **at = find(unit, bdf), *m = *at;
	int err;

	if (!m || m->space != space)
		return -XEN_ENOENT;
	err = unit->ops->detach(unit, space, bdf);
	if (err)
		return err;
	*at = m->next;
	host_iommu_free(m, sizeof(*m));
	if (space)
		space->n_functions--;
	return 0;
}

int iommu_attach(struct iommu_space *space, uint16_t bdf)
{
	if (iommu_of(bdf) != space->unit)
		return -XEN_EXDEV;
	return join(space->unit, space, bdf);
}

int iommu_detach(struct iommu_space *space, uint16_t bdf)
{
	return leave(space->unit, space, bdf);
}

int iommu_pass(uint16_t bdf, bool open)
{
	struct iommu *unit = iommu_of(bdf);
	struct iommu_member *m;

	if (!unit)
		return -XEN_ENXIO;
	m = *find(unit, bdf);
	if (m && m->space)
		return -XEN_EBUSY;
	if (!m == !open)
		return 0;
	return open ? join(unit, NULL, bdf) : leave(unit, NULL, bdf);
}

/* ---- pages ----------------------------------------------------------------------------------------- */

int iommu_map(struct iommu_space *space, uint64_t dma, maddr_t to, uint64_t len, unsigned rights)
{
	int err = io_table_map(&space->table, dma, to, len, rights);

	if (err || !space->unit->flush_after_map)
		return err;
	return space->unit->ops->flush(space->unit, space, dma, len, true);
}

int iommu_unmap(struct iommu_space *space, uint64_t dma, uint64_t len)
{
	return io_table_unmap(&space->table, dma, len);
}

int iommu_take(struct iommu_space *space, uint64_t dma, maddr_t *out_to, unsigned *out_rights)
{
	return io_table_take(&space->table, dma, out_to, out_rights);
}

int iommu_lookup(const struct iommu_space *space, uint64_t dma, maddr_t *out_to,
		 unsigned *out_rights)
{
	return io_table_lookup(&space->table, dma, out_to, out_rights);
}

bool iommu_next(const struct iommu_space *space, struct iommu_piece *piece)
{
	return io_table_next(&space->table, piece);
}

int iommu_flush_entry(struct iommu_space *space, uint64_t dma)
{
	return space->unit->ops->flush(space->unit, space, dma & PAGE_MASK, PAGE_SIZE, false);
}

int iommu_flush_range(struct iommu_space *space, uint64_t dma, uint64_t len)
{
	return len ? space->unit->ops->flush(space->unit, space, dma, len, false) : 0;
}

int iommu_flush_all(struct iommu_space *space)
{
	return space->unit->ops->flush(space->unit, space, 0, 0, false);
}

/* A table is zero when it is cut out, and stays so until the flush: a walk that is on its way finds nothing in it. */
int iommu_space_prune(struct iommu_space *space)
{
	void *cut[CUT_AT_ONCE];
	unsigned n, total = 0;

	do {
		n = io_table_cut_empty(&space->table, cut, CUT_AT_ONCE);
		if (n && space->unit->ops->flush(space->unit, space, 0, 0, true))
			return -XEN_EIO; /* the tables are lost: the unit may still walk them */
		for (unsigned i = 0; i < n; i++)
			host_iommu_pages_free(cut[i], 1);
		total += n;
	} while (n == CUT_AT_ONCE);
	return (int)total;
}

bool iommu_fault(struct iommu_fault *out_fault, bool *out_lost)
{
	*out_lost = false;
	for (unsigned u = 0; u < n_units; u++)
		if (units[u]->ops->fault(units[u], out_fault, out_lost))
			return true;
	return false;
}

void iommu_fault_interrupt(uint64_t address, uint32_t data)
{
	for (unsigned u = 0; u < n_units; u++)
		units[u]->ops->fault_interrupt(units[u], address, data);
}

/* amdvi_interrupt.c: what messages mean to an AMD-Vi unit (AMD 2.2.5).
 *
 * Callers: interrupt.c, by amdvi.c's ops. Each function has a table of its own, named in its entry of the table of devices, so that nobody's
 * message is anybody else's; one that has none shares a page in which nothing is. A message names an entry by its data, of which only
 * fixed interrupts are: the others (NMI, INIT, SMI, external) have bits of their own to be let through, that are never set here.
 */
#include <amphi/host_iommu.h>
#include <amphi/string.h>
#include <amphi/xen.h>

#include "amdvi.h"

/* Of a device's entry, the third word (2.2.2.1). */
#define DEVICE_CHECKED  1u
#define DEVICE_SIZE(n)  ((n) << 1) /* 2^n entries */
#define DEVICE_REMAPPED (2ull << 60)
#define VECTORS_LOG2    8u
#define DEVICE_TABLE    0xfffffffffffc0ull

/* 2.2.5.2, the short form. */
#define ENTRY_ON        1u
#define ENTRY_CPU(id)   ((uint32_t)(id) << 8)
#define ENTRY_VECTOR(v) ((uint32_t)(v) << 16)

#define MESSAGE 0xfee00000u

static struct amdvi *of(struct iommu *unit)
{
	return container_of(unit, struct amdvi, unit);
}

static uint64_t table_word(maddr_t where)
{
	return where.v | DEVICE_REMAPPED | DEVICE_SIZE(VECTORS_LOG2) | DEVICE_CHECKED;
}

/* The function's own table; NULL: it has none yet. */
static uint32_t *table_of(struct amdvi *a, uint16_t bdf)
{
	uint64_t where = a->devices[bdf].interrupts & DEVICE_TABLE;

	return where && where != a->nothing_at.v ? host_iommu_view((maddr_t){where}) : NULL;
}

static int set_all(struct amdvi *a, uint64_t word)
{
	for (unsigned bdf = 0; bdf < AMDVI_DEVICES_ALL; bdf++)
		__atomic_store_n(&a->devices[bdf].interrupts, word, __ATOMIC_RELEASE);
	return amdvi_forget_devices(a);
}

/* The unit may remember the word of any function. Off it is only before somebody got a table of his own. */
int amdvi_interrupts(struct iommu *unit, bool on)
{
	struct amdvi *a = of(unit);
	int err = set_all(a, on ? table_word(a->nothing_at) : 0);

	if (err && on)
		(void)set_all(a, 0);
	return err;
}

/* For amdvi.c, when the unit is off. */
void amdvi_interrupts_free(struct amdvi *a)
{
	for (unsigned bdf = 0; bdf < AMDVI_DEVICES_ALL; bdf++) {
		uint32_t *table = table_of(a, (uint16_t)bdf);

		if (table)
			host_iommu_pages_free(table, 1);
	}
}

/* A table stays its function's for good. */
static int give_table(struct amdvi *a, uint16_t bdf)
{
	maddr_t where;

	if (!host_iommu_pages(1, &where))
		return -XEN_ENOMEM;
	__atomic_store_n(&a->devices[bdf].interrupts, table_word(where), __ATOMIC_RELEASE);
	return amdvi_forget_interrupts(a, bdf, true);
}

int amdvi_interrupt(struct iommu *unit, uint16_t from, uint8_t vector,
		    const struct iommu_target *to)
{
	struct amdvi *a = of(unit);
	int err = table_of(a, from) ? 0 : give_table(a, from);
	uint32_t entry = 0;

	if (err)
		return err;
	if (to)
		entry = ENTRY_ON | ENTRY_CPU(to->cpu) | ENTRY_VECTOR(vector);
	__atomic_store_n(&table_of(a, from)[vector], entry, __ATOMIC_RELEASE);
	return amdvi_forget_interrupts(a, from, false);
}

/* The trigger is the message's own. */
struct iommu_message amdvi_message(uint8_t vector)
{
	return (struct iommu_message){.address = MESSAGE, .data = vector, .route = vector};
}

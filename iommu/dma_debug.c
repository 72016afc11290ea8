/* dma_debug.c: the maps that are, by device and address.
 *
 * Callers: dma.c. Directly mapped, one page may be mapped several times at once (two requests that read one buffer), so there is
 * one record for each map. What is found is a driver's bug, said once for each and counted; nothing is prevented.
 */
#include "dma_debug.h"

#include <amphi/host.h>

#define BUCKETS     1024u
#define DEVICES_MAX 64u

struct record {
	struct record *next;
	uint64_t addr;
	uint32_t len;
	uint16_t bdf;
	uint8_t dir;
	bool shared;
};

static struct record *buckets[BUCKETS];
static struct {
	uint16_t bdf;
	uint64_t maps, unmaps, wrong;
} counts[DEVICES_MAX];
static unsigned n_counts;
static bool stops;

void dma_debug_stops(bool on)
{
	stops = on;
}

static struct record **bucket(uint64_t addr)
{
	return &buckets[(addr >> PAGE_SHIFT ^ addr >> 9) % BUCKETS];
}

static unsigned count_of(uint16_t bdf)
{
	for (unsigned i = 0; i < n_counts; i++)
		if (counts[i].bdf == bdf)
			return i;
	if (n_counts < DEVICES_MAX)
		counts[n_counts++].bdf = bdf;
	return n_counts - 1;
}

void dma_debug_map(uint16_t bdf, dma_addr_t addr, size_t len, enum dma_direction dir, bool shared)
{
	struct record *r = host_alloc(sizeof(*r)), **at = bucket(addr.v);

	counts[count_of(bdf)].maps++;
	if (!r)
		return;
	*r = (struct record){.next = *at,
			     .addr = addr.v,
			     .len = (uint32_t)len,
			     .bdf = bdf,
			     .dir = (uint8_t)dir,
			     .shared = shared};
	*at = r;
}

static void complain(uint16_t bdf, uint64_t addr, size_t len, const char *does, const char *what)
{
	counts[count_of(bdf)].wrong++;
	host_log(HOST_LOG_ERROR, "dma_debug: %02x:%02x.%x %s %llx+%zx, %s", bdf >> 8, bdf >> 3 & 31,
		 bdf & 7, does, (unsigned long long)addr, len, what);
	if (stops)
		host_bug("a driver's DMA, as was said", __FILE__, __LINE__);
}

/* The one that fits in all; else one at that address, which is what was meant. */
static struct record **find(uint16_t bdf, uint64_t addr, size_t len, enum dma_direction dir)
{
	struct record **meant = NULL;

	for (struct record **at = bucket(addr); *at; at = &(*at)->next) {
		if ((*at)->addr != addr || (*at)->bdf != bdf)
			continue;
		if ((*at)->len == len && (*at)->dir == dir)
			return at;
		meant = at;
	}
	return meant;
}

static void drop(struct record **at)
{
	struct record *r = *at;

	*at = r->next;
	host_free(r, sizeof(*r));
}

void dma_debug_unmap(uint16_t bdf, dma_addr_t addr, size_t len, enum dma_direction dir)
{
	struct record **at = find(bdf, addr.v, len, dir);

	counts[count_of(bdf)].unmaps++;
	if (!at) {
		complain(bdf, addr.v, len, "unmaps", "which is not mapped");
		return;
	}
	if ((*at)->len != len)
		complain(bdf, addr.v, len, "unmaps", "which was mapped with another length");
	else if ((*at)->dir != dir)
		complain(bdf, addr.v, len, "unmaps", "which was mapped the other way");
	drop(at);
}

static void leave(struct record **at)
{
	const struct record *r = *at;

	if (!r->shared)
		complain(r->bdf, r->addr, r->len, "goes and leaves", "which is mapped");
	drop(at);
}

void dma_debug_forget(uint16_t bdf)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct record **at = &buckets[i]; *at;)
			if ((*at)->bdf == bdf)
				leave(at);
			else
				at = &(*at)->next;
	counts[count_of(bdf)].maps = counts[count_of(bdf)].unmaps = 0;
}

void dma_debug_count(uint16_t bdf, struct dma_counts *out)
{
	unsigned i = count_of(bdf);

	out->maps = counts[i].maps;
	out->unmaps = counts[i].unmaps;
	out->wrong = counts[i].wrong;
}

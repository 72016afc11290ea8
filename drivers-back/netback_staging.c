/* netback_staging.c: pages that a guest has us keep mapped (xen/io/netif.h, "Static Grants").
 *
 * By its control ring a guest names pages that it will use again and again; they are mapped once, for one queue each. A slot
 * that names such a page is moved by memcpy, and no hypercall is made for it. Callers: netback_ctrl.c for the lists,
 * netback_tx.c and netback_slots.c for each slot. Worker context.
 *
 * How many: 512 a queue, and of all interfaces together as many as netback_staging_limit() says, in equal parts. A page
 * that a frame on its way points into is not let go of: the guest is told that it is in use.
 */
#include <amphi/string.h>

#include "netback_private.h"

#define ENTRIES  NETIF_STAGED_MAX
#define BUCKETS  512u
#define NONE     0xffffu
#define LEAST    64u /* of an interface, however many there are */
#define ALL_OURS 3072u

struct vif_staging {
	struct vif_staged entries[ENTRIES];
	uint16_t buckets[BUCKETS];
	uint16_t free;
};
#define STAGING_PAGES PAGES_FOR(sizeof(struct vif_staging))

static unsigned limit = ALL_OURS, n_all;

/* The list of a message, and what is mapped of it; the worker's. */
static struct xen_netif_gref list[ENTRIES];

void netback_staging_limit(unsigned pages)
{
	limit = pages;
}

static unsigned share_of(const struct vif *vif)
{
	return MIN(limit, MAX(limit / MAX(vif_root_of(vif)->n_connected, 1u), LEAST));
}

static unsigned staged_of(const struct vif *vif)
{
	unsigned n = 0;

	for (unsigned i = 0; i < vif->n_queues; i++)
		n += vif->queues[i].n_staged;
	return n;
}

/* How many more, of this queue. */
static unsigned room(const struct vif_queue *q)
{
	unsigned share = share_of(q->vif), has = staged_of(q->vif);
	unsigned n = MIN(ENTRIES - q->n_staged, has < share ? share - has : 0);

	return MIN(n, n_all < limit ? limit - n_all : 0);
}

unsigned vif_staging_size(const struct vif_queue *q)
{
	return MIN(share_of(q->vif) / q->vif->n_queues, q->n_staged + room(q));
}

/* ---- the table ------------------------------------------------------------------------------ */

struct vif_staged *vif_staged_find(const struct vif_queue *q, uint32_t ref)
{
	struct vif_staging *s = q->staging;
	uint16_t i = s->buckets[ref % BUCKETS];

	while (i != NONE && s->entries[i].ref != ref)
		i = s->entries[i].next;
	return i == NONE ? NULL : &s->entries[i];
}

static void insert(struct vif_queue *q, const struct host_grant_map *map)
{
	struct vif_staging *s = q->staging;
	uint16_t i = s->free, *bucket = &s->buckets[map->ref.v % BUCKETS];
	struct vif_staged *e = &s->entries[i];

	s->free = e->next;
	*e = (struct vif_staged){.ref = map->ref.v,
				 .handle = map->handle,
				 .page = map->page,
				 .readonly = map->readonly,
				 .next = *bucket};
	*bucket = i;
	q->n_staged++;
	n_all++;
}

static void take_out(struct vif_queue *q, struct vif_staged *e)
{
	struct vif_staging *s = q->staging;
	uint16_t i = (uint16_t)(e - s->entries), *link = &s->buckets[e->ref % BUCKETS];

	while (*link != i)
		link = &s->entries[*link].next;
	*link = e->next;
	e->page = NULL;
	e->next = s->free;
	s->free = i;
	q->n_staged--;
	n_all--;
}

static bool alloc_table(struct vif_queue *q)
{
	struct vif_staging *s = q->staging ? q->staging : host_pages_alloc(STAGING_PAGES);

	if (!s || q->staging)
		return s != NULL;
	memset(s->buckets, 0xff, sizeof(s->buckets));
	for (unsigned i = 0; i < ENTRIES; i++)
		s->entries[i].next = (uint16_t)(i + 1 < ENTRIES ? i + 1 : NONE);
	q->staging = s;
	return true;
}

/* ---- a message ------------------------------------------------------------------------------ */

static struct host_grant_map map_of(const struct vif_queue *q, const struct vif_staged *e)
{
	return (struct host_grant_map){.owner = q->vif->bus.peer,
				       .ref = {e->ref},
				       .readonly = e->readonly,
				       .status = GNTST_okay,
				       .handle = e->handle,
				       .page = e->page};
}

/* Entries of the list that are in the table are unmapped, and taken out of it. */
static void drop_entries(struct vif_queue *q, unsigned from, unsigned to)
{
	struct host_grant_map maps[HOST_GRANT_BATCH];
	unsigned n = 0;

	for (unsigned i = from; i < to; i++) {
		struct vif_staged *e = vif_staged_find(q, list[i].ref);

		maps[n++] = map_of(q, e);
		take_out(q, e);
		if (n == HOST_GRANT_BATCH || i + 1 == to) {
			host_grants_unmap(maps, n);
			n = 0;
		}
	}
}

/* How many were mapped: all, or those before the first that could not be. */
static unsigned map_some(struct vif_queue *q, unsigned from, unsigned n)
{
	struct host_grant_map maps[HOST_GRANT_BATCH];
	unsigned good = 0;

	for (unsigned i = 0; i < n; i++)
		maps[i] = (struct host_grant_map){.owner = q->vif->bus.peer,
						  .ref = {list[from + i].ref},
						  .readonly = list[from + i].flags &
							      XEN_NETIF_CTRLF_GREF_readonly};
	if (host_grants_map(maps, n))
		return 0;
	while (good < n && maps[good].status == GNTST_okay && !vif_staged_find(q, maps[good].ref.v))
		insert(q, &maps[good++]);
	if (good < n)
		host_grants_unmap(maps + good, n - good);
	return good;
}

static uint32_t fetch_list(struct vif_queue *q, const uint32_t *data)
{
	if (data[2] == 0 || data[2] > ENTRIES)
		return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
	if (!vif_ctrl_fetch(q->vif, data[1], list, data[2] * sizeof(list[0])))
		return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
	return XEN_NETIF_CTRL_STATUS_SUCCESS;
}

/* All or none. */
uint32_t vif_staging_add(struct vif_queue *q, const uint32_t *data)
{
	uint32_t status = fetch_list(q, data);
	unsigned n = data[2], done = 0, some;

	if (status)
		return status;
	if (n > room(q) || !alloc_table(q))
		return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
	for (; done < n; done += some) {
		unsigned want = MIN(n - done, HOST_GRANT_BATCH);

		some = map_some(q, done, want);
		if (some == want)
			continue;
		drop_entries(q, 0, done + some);
		return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
	}
	return XEN_NETIF_CTRL_STATUS_SUCCESS;
}

/* Each entry has its own status, and *out_n is how many went. The list is copied back whole. */
uint32_t vif_staging_del(struct vif_queue *q, const uint32_t *data, uint32_t *out_n)
{
	uint32_t status = fetch_list(q, data);

	if (status)
		return status;
	for (unsigned i = 0; i < data[2]; i++) {
		struct vif_staged *e = q->staging ? vif_staged_find(q, list[i].ref) : NULL;

		list[i].status = XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
		if (!e || e->in_use)
			continue;
		drop_entries(q, i, i + 1);
		list[i].status = XEN_NETIF_CTRL_STATUS_SUCCESS;
		(*out_n)++;
	}
	if (!vif_ctrl_put(q->vif, data[1], list, data[2] * sizeof(list[0])))
		return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
	return XEN_NETIF_CTRL_STATUS_SUCCESS;
}

/* The connection has ended, and no frame points anywhere. */
void vif_staging_drop(struct vif_queue *q)
{
	struct vif_staging *s = q->staging;

	if (!s)
		return;
	for (unsigned i = 0; i < ENTRIES && q->n_staged; i++) {
		struct host_grant_map map = map_of(q, &s->entries[i]);

		if (!s->entries[i].page)
			continue;
		HOST_ASSERT(!s->entries[i].in_use);
		host_grants_unmap(&map, 1);
		take_out(q, &s->entries[i]);
	}
	host_pages_free(s, STAGING_PAGES);
	q->staging = NULL;
}

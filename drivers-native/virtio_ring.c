/* virtio_ring.c: the split virtqueue; the contract is virtio_ring.h.
 *
 * Free descriptors are a list through next[], which is ours alone: the copies in the shared page are
 * written and never read back. Callers: virtio_blk.c, virtio_net*.c.
 */
#include "virtio_ring.h"

#include <amphi/host.h>
#include <amphi/peer.h>
#include <amphi/xen.h>

/* Behind each ring stands when its writer wants to hear of the other one (2.6.6, 2.6.8). */
static volatile uint16_t *used_event(const struct virtq *q)
{
	return &q->avail->ring[q->size];
}

static volatile uint16_t *avail_event(const struct virtq *q)
{
	return (volatile uint16_t *)&q->used->ring[q->size];
}

/* All zero is an empty queue to the device: both indices 0, no flags. Descriptors need no clearing,
 * as the device looks only at those that avail names. */
void virtq_rewind(struct virtq *q)
{
	*(uint32_t *)q->avail = *(uint32_t *)q->used = 0;
	q->n_free = q->size;
	q->first_free = q->used_seen = q->avail_added = q->avail_told = 0;
	*used_event(q) = *avail_event(q) = 0;
	for (uint16_t i = 0; i < q->size; i++) {
		q->next[i] = (uint16_t)(i + 1);
		q->token[i] = NULL;
	}
}

/* The available ring at offset `avail` of memory, the used one behind it at a multiple of `align`. */
static void lay_out(struct virtq *q, char *memory, dma_addr_t at, size_t avail, size_t align)
{
	size_t used = (avail + (3 + q->size) * sizeof(uint16_t) + align - 1) & ~(align - 1);

	q->avail = (struct virtq_avail *)(memory + avail);
	q->used = (struct virtq_used *)(memory + used);
	q->avail_at = (dma_addr_t){at.v + avail};
	q->used_at = (dma_addr_t){at.v + used};
	virtq_rewind(q);
}

int virtq_init(struct virtq *q, const struct dma_device *dma, uint16_t size)
{
	size_t desc_bytes = size * sizeof(struct virtq_desc);
	dma_addr_t at;
	char *page = dma_page_alloc(dma, &at);

	if (!page)
		return -XEN_ENOMEM;
	q->size = size;
	q->desc = (struct virtq_desc *)page;
	q->desc_at = at;
	q->n_pages = size > VIRTQ_PAGE_MAX ? 2 : 1;
	if (size > VIRTQ_PAGE_MAX) {
		desc_bytes = 0;
		page = dma_page_alloc(dma, &at);
	}
	if (!page) {
		dma_page_free(dma, q->desc, q->desc_at);
		q->desc = NULL;
		return -XEN_ENOMEM;
	}
	lay_out(q, page, at, desc_bytes, 8);
	return 0;
}

int virtq_init_legacy(struct virtq *q, const struct dma_device *dma, uint16_t size)
{
	size_t first = size * sizeof(struct virtq_desc) + (3 + size) * sizeof(uint16_t);
	size_t second = size * 8u + 3 * sizeof(uint16_t);
	dma_addr_t at;
	char *pages;

	q->n_pages =
	    (unsigned)((first + PAGE_SIZE - 1) / PAGE_SIZE + (second + PAGE_SIZE - 1) / PAGE_SIZE);
	pages = dma_pages_alloc(dma, q->n_pages, &at);
	if (!pages)
		return -XEN_ENOMEM;
	q->size = size;
	q->desc = (struct virtq_desc *)pages;
	q->desc_at = at;
	lay_out(q, pages, at, size * sizeof(struct virtq_desc), PAGE_SIZE);
	return 0;
}

/* What the device reads of piece i; next is where the one behind it stands. */
static struct virtq_desc desc_of(const struct virtq_piece *piece, bool is_last, uint16_t next)
{
	unsigned flags =
	    (is_last ? 0 : VIRTQ_DESC_NEXT) | (piece->device_writes ? VIRTQ_DESC_WRITE : 0);

	return (struct virtq_desc){piece->at.v, piece->len, (uint16_t)flags, next};
}

/* Shows a chain that begins at head. A device that polls may begin with it as soon as idx shows it, before any
 * notification. */
static void show(struct virtq *q, uint16_t head, void *token)
{
	q->token[head] = token;
	q->avail->ring[q->avail_added++ % q->size] = head;
	peer_wmb(); /* the entry before the index that shows it */
	*(volatile uint16_t *)&q->avail->idx = q->avail_added;
}

bool virtq_add(struct virtq *q, const struct virtq_piece *pieces, unsigned n, void *token)
{
	uint16_t head = q->first_free, at = head;

	if (n > q->n_free)
		return false;
	/* Each chain is there twice:
	 *
	 *    desc[head] -next-> desc[..] -next-> desc[tail]    written for the device
	 *    q->next[head]  ->  q->next[..]  ->  VIRTQ_NONE    ours, by which the chain is freed
	 */
	for (unsigned i = 0; i < n; i++) {
		q->desc[at] = desc_of(&pieces[i], i + 1 == n, q->next[at]);
		if (i + 1 < n)
			at = q->next[at];
	}
	q->first_free = q->next[at];
	q->next[at] = VIRTQ_NONE;
	q->n_free = (uint16_t)(q->n_free - n);
	show(q, head, token);
	return true;
}

bool virtq_add_indirect(struct virtq *q, struct virtq_desc *table, dma_addr_t table_at,
			const struct virtq_piece *pieces, unsigned n, void *token)
{
	uint16_t head = q->first_free;

	if (!q->n_free)
		return false;
	for (unsigned i = 0; i < n; i++)
		table[i] = desc_of(&pieces[i], i + 1 == n, (uint16_t)(i + 1));
	q->desc[head] =
	    (struct virtq_desc){table_at.v, n * (uint32_t)sizeof(*table), VIRTQ_DESC_INDIRECT, 0};
	q->first_free = q->next[head];
	q->next[head] = VIRTQ_NONE;
	q->n_free--;
	show(q, head, token);
	return true;
}

/* Whether `wanted` was passed on the way from `before` to `now`, the three of which wrap around (2.6.7.2). */
static bool passed(uint16_t wanted, uint16_t before, uint16_t now)
{
	return (uint16_t)(now - wanted - 1) < (uint16_t)(now - before);
}

/* A full fence: without it the flag could be read before our index is visible, while the device
 * reads the index before it sets the flag, and both would go to sleep (section 2.6.13). */
bool virtq_publish(struct virtq *q)
{
	uint16_t before = q->avail_told;

	q->avail_told = q->avail_added;
	peer_mb(); /* our index before their flag */
	if (q->event_idx)
		return passed(peer_fetch16(avail_event(q)), before, q->avail_added);
	return !(peer_fetch16(&q->used->flags) & 1);
}

/* With event_idx there is nothing to say: an index that was passed asks for nothing. */
void virtq_quiet(struct virtq *q)
{
	if (!q->event_idx)
		*(volatile uint16_t *)&q->avail->flags = 1;
}

bool virtq_wake(struct virtq *q, uint16_t after)
{
	if (q->event_idx)
		*used_event(q) = (uint16_t)(q->used_seen + after);
	else
		*(volatile uint16_t *)&q->avail->flags = 0;
	peer_mb(); /* as above: the wish before the look */
	return (uint16_t)(peer_fetch16(&q->used->idx) - q->used_seen) > (q->event_idx ? after : 0);
}

/* Gives the chain back to the free list. By our own links: what the device may have made of the
 * descriptors does not matter. */
static void free_chain(struct virtq *q, uint16_t head)
{
	uint16_t tail = head, n = 1;

	for (; q->next[tail] != VIRTQ_NONE; n++) /* our own list: at most size long */
		tail = q->next[tail];
	q->next[tail] = q->first_free;
	q->first_free = head;
	q->n_free = (uint16_t)(q->n_free + n);
}

void *virtq_take_len(struct virtq *q, bool *out_bad, uint32_t *out_len)
{
	uint32_t id;
	void *token;

	*out_bad = false;
	/* Only whether it differs: a device that runs ahead by more than it was given returns
	 * entries whose tokens are NULL, one by one, each refused below. The caller bounds how
	 * many. */
	if (peer_fetch16(&q->used->idx) == q->used_seen)
		return NULL;
	peer_rmb();
	id = peer_fetch32(&q->used->ring[q->used_seen % q->size].id);
	*out_len = peer_fetch32(&q->used->ring[q->used_seen % q->size].len);
	q->used_seen++;
	/* Only the head of a chain in flight has a token, and it has it once: an id out of range,
	 * in the middle of a chain, or returned twice is refused alike. */
	token = id < q->size ? q->token[id] : NULL;
	if (!token) {
		*out_bad = true;
		return NULL;
	}
	q->token[id] = NULL;
	free_chain(q, (uint16_t)id);
	return token;
}

void *virtq_take(struct virtq *q, bool *out_bad)
{
	uint32_t len;

	return virtq_take_len(q, out_bad, &len);
}

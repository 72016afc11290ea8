/* virtio_ring.c: the split virtqueue; the contract is virtio_ring.h.
 *
 * Free descriptors are a list through next[], which is ours alone: the copies in the shared page are
 * written and never read back. Callers: virtio_blk.c.
 */
#include "virtio_ring.h"

#include <amphi/peer.h>
#include <amphi/xen.h>

/* All zero is an empty queue to the device: both indices 0, no flags. Descriptors need no clearing,
 * as the device looks only at those that avail names. */
int virtq_init(struct virtq *q, const struct dma_device *dma, uint16_t size)
{
	q->page = dma_page_alloc(dma, &q->at);
	if (!q->page)
		return -XEN_ENOMEM;
	q->size = q->n_free = size;
	for (uint16_t i = 0; i < size; i++)
		q->next[i] = (uint16_t)(i + 1);
	return 0;
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
	 *
	 * A device that polls may begin with the chain as soon as idx shows it, before any
	 * notification. */
	for (unsigned i = 0; i < n; i++) {
		unsigned flags = (i + 1 < n ? VIRTQ_DESC_NEXT : 0) |
				 (pieces[i].device_writes ? VIRTQ_DESC_WRITE : 0);

		q->page->desc[at] = (struct virtq_desc){pieces[i].at.v, pieces[i].len,
							(uint16_t)flags, q->next[at]};
		if (i + 1 < n)
			at = q->next[at];
	}
	q->first_free = q->next[at];
	q->next[at] = VIRTQ_NONE;
	q->n_free = (uint16_t)(q->n_free - n);
	q->token[head] = token;
	q->page->avail.ring[q->avail_added++ % q->size] = head;
	peer_wmb(); /* the entry before the index that shows it */
	*(volatile uint16_t *)&q->page->avail.idx = q->avail_added;
	return true;
}

/* A full fence: without it the flag could be read before our index is visible, while the device
 * reads the index before it sets the flag, and both would go to sleep (section 2.6.13). */
bool virtq_publish(struct virtq *q)
{
	peer_mb(); /* our index before their flag */
	return !(peer_fetch16(&q->page->used.flags) & 1);
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

void *virtq_take(struct virtq *q, bool *out_bad)
{
	uint32_t id;
	void *token;

	*out_bad = false;
	/* Only whether it differs: a device that runs ahead by more than it was given returns
	 * entries whose tokens are NULL, one by one, each refused below. The caller bounds how
	 * many. */
	if (peer_fetch16(&q->page->used.idx) == q->used_seen)
		return NULL;
	peer_rmb();
	id = peer_fetch32(&q->page->used.ring[q->used_seen % q->size].id);
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

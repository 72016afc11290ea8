/* virtio_ring.c: the split virtqueue; the contract is virtio_ring.h.
 *
 * Free descriptors are a list through next[], which is ours alone: the copies in the shared page are
 * written and never read back. Callers: virtio_blk.c.
 */
#include "virtio_ring.h"

#include <amphi/peer.h>
#include <amphi/xen.h>

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
	for (unsigned i = 0; i < n; i++) {
		unsigned flags = (i + 1 < n ? VIRTQ_DESC_NEXT : 0) | (pieces[i].device_writes ? VIRTQ_DESC_WRITE : 0);

		q->page->desc[at] = (struct virtq_desc){pieces[i].at.v, pieces[i].len, (uint16_t)flags, q->next[at]};
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

bool virtq_publish(struct virtq *q)
{
	peer_mb(); /* our index before their flag */
	return !(peer_fetch16(&q->page->used.flags) & 1);
}

/* Gives the chain back to the free list. */
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
	if (peer_fetch16(&q->page->used.idx) == q->used_seen)
		return NULL;
	peer_rmb();
	id = peer_fetch32(&q->page->used.ring[q->used_seen % q->size].id);
	q->used_seen++;
	token = id < q->size ? q->token[id] : NULL;
	if (!token) {
		*out_bad = true;
		return NULL;
	}
	q->token[id] = NULL;
	free_chain(q, (uint16_t)id);
	return token;
}

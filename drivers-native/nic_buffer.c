/* nic_buffer.c: frames that came in, and the pages that a network card put them into.
 *
 * Contract: nic.h. A user may keep a frame for long (a guest that does not take it); its pages are then replaced in the
 * card by others, up to a bound, beyond which the card drops: so one that never puts a frame costs that much memory
 * and not more. Pages are not given back to the kernel before the card is off for good. Called by the drivers.
 */
#include "nic.h"

#include <amphi/string.h>

static struct nic_buffer *new_buffer(struct nic_queue *queue)
{
	struct nic_buffer *buffer;

	if (queue->n_buffers == queue->max_buffers)
		return NULL;
	buffer = host_alloc(sizeof(*buffer));
	if (!buffer)
		return NULL;
	buffer->page = dma_page_alloc(&queue->nic->dma, &buffer->at);
	if (!buffer->page) {
		host_free(buffer, sizeof(*buffer));
		return NULL;
	}
	buffer->queue = queue;
	queue->n_buffers++;
	return buffer;
}

struct nic_buffer *nic_buffer_get(struct nic_queue *queue)
{
	struct nic_buffer *buffer = queue->free;

	if (!buffer)
		return new_buffer(queue);
	queue->free = buffer->next;
	queue->n_free--;
	return buffer;
}

void nic_buffer_free(struct nic_buffer *buffer)
{
	struct nic_queue *queue = buffer->queue;

	buffer->next = queue->free;
	queue->free = buffer;
	queue->n_free++;
}

void nic_buffers_end(struct nic *nic)
{
	for (unsigned i = 0; i < nic->n_queues; i++) {
		struct nic_buffer *buffer, *next;

		HOST_ASSERT(nic->queues[i]->n_free == nic->queues[i]->n_buffers);
		for (buffer = nic->queues[i]->free; buffer; buffer = next) {
			next = buffer->next;
			host_pages_free(buffer->page, 1);
			host_free(buffer, sizeof(*buffer));
		}
	}
}

static void free_all(struct nic_buffer *first)
{
	while (first) { /* at most NET_SEGMENTS_MAX */
		struct nic_buffer *next = first->next;

		nic_buffer_free(first);
		first = next;
	}
}

/* A card that has buffers gets these at its next round. One that the last refill left short might have none, and then
 * no interrupt would ever come. */
static void put_back(struct net_frame *frame, int status)
{
	struct nic_buffer *first = frame->ctx;
	struct nic_queue *queue = first->queue;

	free_all(first);
	if (queue->lacks && queue->n_free >= MIN(queue->lacks, 32u) &&
	    queue->nic->phase == NIC_RUNNING)
		queue->nic->ops->refill(queue);
}

/* Only what is meant to be read is set: the array of segments is long. */
struct net_frame *nic_frame_begin(struct nic_buffer *buffer, uint32_t offset, uint32_t len)
{
	struct net_frame *frame = &buffer->frame;

	buffer->next = NULL;
	memset(frame, 0, offsetof(struct net_frame, segments));
	frame->len_bytes = len;
	frame->n_segments = 1;
	frame->segments[0] = (struct net_segment){.va = buffer->page + offset, .len_bytes = len};
	frame->done = put_back;
	frame->ctx = buffer;
	frame->holders = 1;
	frame->status = 0;
	return frame;
}

/* The buffer is the frame's in either case. */
bool nic_frame_add(struct net_frame *frame, struct nic_buffer *buffer, uint32_t offset,
		   uint32_t len)
{
	struct nic_buffer *first = frame->ctx;

	buffer->next = first->next;
	first->next = buffer;
	if (frame->n_segments == NET_SEGMENTS_MAX || frame->len_bytes + len > NET_FRAME_MAX)
		return false;
	frame->segments[frame->n_segments++] =
	    (struct net_segment){.va = buffer->page + offset, .len_bytes = len};
	frame->len_bytes += len;
	return true;
}

void nic_discard(struct nic_queue *queue, struct net_frame *frame, enum net_drop why)
{
	queue->nic->dev.stats[queue->index].drops[why]++;
	free_all(frame->ctx);
}

void nic_receive(struct nic_queue *queue, struct net_frame *frame)
{
	struct net_device *dev = &queue->nic->dev;

	if (!dev->user) {
		nic_discard(queue, frame, NET_DROP_filtered);
		return;
	}
	dev->stats[queue->index].frames_in++;
	dev->stats[queue->index].bytes_in += frame->len_bytes;
	queue->received = true;
	host_net_receive(dev, frame);
}

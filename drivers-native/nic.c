/* nic.c: a real network card as a network interface: frames out, their order and their drops.
 *
 * Contract: nic.h; struct net_ops of amphi/net.h. What finds no room in the card waits, in order; a card that is being
 * reset lets all wait. Called by users of the interface and by the drivers' interrupts; calls the driver's table.
 */
#include "nic.h"

#include <amphi/printf.h>

/* Of the longest frame, each of whose segments begins and ends within a page. */
#define PAGES_MAX (NET_FRAME_MAX / PAGE_SIZE + 2 * NET_SEGMENTS_MAX)

/* ---- out ------------------------------------------------------------------------------------------------- */

void nic_drop(struct nic_queue *queue, struct net_frame *frame, enum net_drop why, int status)
{
	queue->nic->dev.stats[queue->index].drops[why]++;
	net_frame_put(frame, status);
}

int nic_headers(const struct net_frame *frame, struct net_headers *out)
{
	const struct net_segment *first = &frame->segments[0];

	return net_parse(first->va, MIN(first->len_bytes, NET_PARSE_BYTES), frame->len_bytes, out);
}

static int add_piece(struct nic_pieces *p, dma_addr_t at, uint32_t len)
{
	struct nic_piece *last = p->n ? &p->out[p->n - 1] : NULL;

	if (last && last->at.v + last->len == at.v && last->len + len <= p->max_len) {
		last->len += len;
		return 0;
	}
	if (p->n == p->cap)
		return -XEN_E2BIG;
	p->out[p->n++] = (struct nic_piece){at, len};
	return 0;
}

/* What a frame is cut into where pages end: the worker's, and empty between calls. */
static struct {
	unsigned n;
	struct dma_piece all[PAGES_MAX];
} pages;

static int cut(char *va, uint32_t bytes)
{
	for (uint32_t len; bytes; bytes -= len, va += len) {
		if (pages.n == PAGES_MAX)
			return -XEN_E2BIG;
		len = (uint32_t)MIN(bytes, PAGE_SIZE - ((uintptr_t)va & ~PAGE_MASK));
		pages.all[pages.n++] = (struct dma_piece){.va = va, .len = len};
	}
	return 0;
}

static int cut_all(const struct net_frame *frame, uint32_t skip)
{
	int err = 0;

	pages.n = 0;
	for (unsigned i = 0; i < frame->n_segments && !err; i++) {
		const struct net_segment *s = &frame->segments[i];
		uint32_t left_out = MIN(skip, s->len_bytes);

		err = cut((char *)s->va + left_out, s->len_bytes - left_out);
		skip -= left_out;
	}
	return err;
}

/* By one call, which may be one of a hypervisor. */
int nic_map(const struct nic *nic, const struct net_frame *frame, uint32_t skip,
	    struct nic_pieces *p)
{
	int err = cut_all(frame, skip);

	p->maps = (struct dma_group){0};
	p->n = 0;
	if (!err)
		err = dma_group_map_all(&nic->dma, &p->maps, pages.all, pages.n, DMA_TO_DEVICE);
	for (unsigned i = 0; i < pages.n && !err; i++)
		err = add_piece(p, pages.all[i].at, pages.all[i].len);
	if (err)
		dma_group_unmap(&nic->dma, &p->maps);
	return err ? err : (int)p->n;
}

/* Frames of a flow through one queue, so that they keep their order. Frames whose headers make no sense are one flow. */
static struct nic_queue *queue_of(const struct nic *nic, const struct net_frame *frame)
{
	struct net_headers h;
	uint32_t hash = frame->hash;

	if (nic->n_out == 1)
		return nic->queues[0];
	if (!hash && !nic_headers(frame, &h))
		hash = net_flow_hash(frame->segments[0].va, &h);
	return nic->queues[hash % nic->n_out];
}

/* -XEN_EBUSY leaves the frame with the caller; with any other result it is not the caller's any more. What finds no room for its maps waits for
 * those under way, and when there are none (others have filled what is full) it is dropped: a frame may be. */
static int put(struct nic_queue *queue, struct net_frame *frame)
{
	struct nic *nic = queue->nic;
	struct net_stats *stats = &nic->dev.stats[queue->index];
	uint32_t len = frame->len_bytes;
	int err = nic->ops->put(queue, frame);

	if (dma_is_full(err) && queue->in_flight)
		err = -XEN_EBUSY;
	if (err == -XEN_EBUSY)
		return err;
	if (err) {
		nic_drop(queue, frame, dma_is_full(err) ? NET_DROP_full : NET_DROP_malformed, err);
		return err;
	}
	queue->in_flight++;
	nic->untold |= 1u << queue->index;
	stats->frames_out++;
	stats->bytes_out += len;
	return 0;
}

static void wait_for_room(struct nic_queue *queue, struct net_frame *frame)
{
	if (queue->n_waiting == NIC_WAITING_MAX) {
		nic_drop(queue, frame, NET_DROP_full, -XEN_ENOBUFS);
		return;
	}
	queue->waiting[(queue->first_waiting + queue->n_waiting++) % NIC_WAITING_MAX] = frame;
}

static void send(struct net_device *dev, struct net_frame *frame)
{
	struct nic *nic = dev->driver;
	struct nic_queue *queue = queue_of(nic, frame);

	if (nic->phase == NIC_GONE || !dev->carrier)
		nic_drop(queue, frame, NET_DROP_down, -XEN_ENOTCONN);
	else if (nic->phase == NIC_RESETTING || queue->n_waiting || put(queue, frame) == -XEN_EBUSY)
		wait_for_room(queue, frame);
}

/* Off the list before put: a frame that is dropped there calls done(), which may send again. */
void nic_pump(struct nic_queue *queue)
{
	while (queue->n_waiting && queue->nic->phase == NIC_RUNNING) {
		struct net_frame *frame = queue->waiting[queue->first_waiting];

		queue->first_waiting = (queue->first_waiting + 1) % NIC_WAITING_MAX;
		queue->n_waiting--;
		if (put(queue, frame) != -XEN_EBUSY)
			continue;
		queue->first_waiting =
		    (queue->first_waiting + NIC_WAITING_MAX - 1) % NIC_WAITING_MAX;
		queue->waiting[queue->first_waiting] = frame;
		queue->n_waiting++;
		return;
	}
}

void nic_drop_waiting(struct nic_queue *queue)
{
	while (queue->n_waiting) {
		struct net_frame *frame = queue->waiting[queue->first_waiting];

		queue->first_waiting = (queue->first_waiting + 1) % NIC_WAITING_MAX;
		queue->n_waiting--;
		nic_drop(queue, frame, NET_DROP_down, -XEN_ENOTCONN);
	}
}

void nic_done(struct nic_queue *queue, struct net_frame *frame, int status)
{
	queue->in_flight--;
	queue->returned++;
	net_frame_put(frame, status);
}

void nic_kick(struct net_device *dev)
{
	struct nic *nic = dev->driver;

	while (nic->untold) {
		unsigned n = (unsigned)__builtin_ctz(nic->untold);

		nic->untold &= nic->untold - 1;
		dev->stats[n].batches_out++;
		nic->ops->tell(nic->queues[n]);
	}
}

/* ---- in, and what came of frames out ------------------------------------------------------------------------ */

/* The user's answers to a batch go in one kick with what had waited. Buffers first go back after the user has seen the
 * batch, as he may have put most of them by then; the card has the others meanwhile. */
void nic_poll(struct nic_queue *queue)
{
	struct nic *nic = queue->nic;
	bool more;

	if (nic->phase != NIC_RUNNING)
		return;
	more = nic->ops->take(queue);
	if (nic->phase != NIC_RUNNING)
		return; /* what the card returned made no sense */
	nic_pump(queue);
	if (queue->received) {
		queue->received = false;
		nic->dev.stats[queue->index].batches_in++;
		host_net_batch_end(&nic->dev);
	}
	nic->ops->refill(queue);
	nic_kick(&nic->dev);
	if (more || nic->ops->arm(queue))
		host_work_soon(&queue->again);
}

void nic_interrupt(void *ctx)
{
	struct nic_queue *queue = ctx;

	queue->nic->dev.stats[queue->index].notifications_in++;
	nic_poll(queue);
}

static void again(void *ctx)
{
	nic_poll(ctx);
}

/* ---- the interface ------------------------------------------------------------------------------------------ */

void nic_carrier(struct nic *nic, bool on)
{
	bool is_news = nic->dev.carrier != on;

	nic->dev.carrier = on;
	if (!is_news || !nic->dev.ops) /* not registered yet */
		return;
	for (unsigned i = 0; i < nic->n_queues && !on; i++)
		nic_drop_waiting(nic->queues[i]);
	host_log(HOST_LOG_INFO, "%s: the link is %s", nic->dev.name, on ? "up" : "down");
	host_net_changed(&nic->dev);
}

static void promiscuous(struct net_device *dev, bool on)
{
	struct nic *nic = dev->driver;

	nic->promiscuous = on;
	if (nic->phase == NIC_RUNNING)
		nic->ops->filter(nic);
}

/* All of them, as long as any is asked for: who asked looks at what comes in anyway. */
static void multicast(struct net_device *dev, const uint8_t *mac, bool on)
{
	struct nic *nic = dev->driver;

	nic->n_multicast += on ? 1 : nic->n_multicast ? -1u : 0;
	if (nic->phase == NIC_RUNNING)
		nic->ops->filter(nic);
}

static void set_mtu(struct net_device *dev, uint16_t mtu)
{
	struct nic *nic = dev->driver;
	uint16_t before = dev->mtu;

	dev->mtu = MAX(nic->usual_mtu, MIN(mtu, nic->max_mtu));
	if (dev->mtu != before)
		host_log(HOST_LOG_INFO, "%s: MTU %u", dev->name, dev->mtu);
}

static const struct net_ops ops = {.send = send,
				   .kick = nic_kick,
				   .promiscuous = promiscuous,
				   .multicast = multicast,
				   .set_mtu = set_mtu};

void nic_add_queue(struct nic *nic, struct nic_queue *queue, unsigned max_buffers)
{
	queue->nic = nic;
	queue->index = nic->n_queues;
	queue->max_buffers = max_buffers;
	queue->again = (struct host_work){.fn = again, .ctx = queue};
	nic->queues[nic->n_queues++] = queue;
}

/* The next name that is free: a frontend of the same domain may have some. */
int nic_register(struct nic *nic)
{
	const uint8_t *mac = nic->dev.mac;
	unsigned n = 0;
	int err;

	nic->dev.ops = &ops;
	nic->dev.driver = nic;
	nic->dev.uplink = true;
	nic->usual_mtu = nic->dev.mtu;
	nic->dev.n_queues = nic->n_queues;
	do
		fmt_text(nic->dev.name, sizeof(nic->dev.name), "eth%u", n++);
	while (host_net_find(nic->dev.name));
	host_log(HOST_LOG_INFO, "%s: %02x:%02x:%02x:%02x:%02x:%02x, MTU %u, %u queues, link %s",
		 nic->dev.name, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], nic->dev.mtu,
		 nic->n_queues, nic->dev.carrier ? "up" : "down");
	err = host_net_register(&nic->dev);
	if (!err)
		nic_watch(nic);
	return err;
}

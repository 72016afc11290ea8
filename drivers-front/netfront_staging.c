/* netfront_staging.c: pages that the backend maps once and keeps, so that neither side has a grant to do for a packet.
 *
 * A backend that can says how many pages of a queue it keeps (GET_GREF_MAPPING_SIZE); then it is told of all that small
 * frames are copied into, of some that longer ones are, and of those that are lent for what comes in (ADD_GREF_MAPPING). From that
 * question on, and not from its answer, such a page counts as one that the backend can change at any moment. Linux's netback
 * has nothing of this. Called by netfront_connect.c; calls netfront_control.c.
 */
#include "netfront_private.h"

#define STAGED_MIN (NF_CHUNK_PAGES + NF_RX_PAGES_MIN) /* fewer are not worth the trouble */

static struct xen_netif_gref *table(struct nf_call *call)
{
	return (struct xen_netif_gref *)call->page;
}

/* Every page of the queue that is granted for good and in no list of somebody else's. */
static void for_each_page(struct nf_queue *q, void (*fn)(struct nf_page *page, void *ctx),
			  void *ctx)
{
	for (unsigned i = 0; i < NF_CHUNK_PAGES; i++)
		if (q->chunks[i])
			fn(q->chunks[i], ctx);
	for (unsigned i = 0; i < NETIF_RING_SLOTS; i++) {
		if (q->slots[i].kind == NF_PAGE)
			fn(q->slots[i].page, ctx);
		if (q->posted[i])
			fn(q->posted[i], ctx);
	}
	for (struct nf_page *page = q->tx_pages.first; page; page = page->next)
		fn(page, ctx);
	for (struct nf_page *page = q->ready.first; page; page = page->next)
		fn(page, ctx);
}

/* ---- begin ------------------------------------------------------------------------------------ */

/* Pages for all that is copied out, and a few more for what comes in than are lent, for users that keep some. What there
 * is no memory for is done without. */
static void make_pages(struct nf_queue *q, unsigned most)
{
	unsigned rx = q->dev->rx_pages + q->dev->rx_pages / 4;

	nf_tx_make_pages(q, most > rx + NF_CHUNK_PAGES ? most - rx - NF_CHUNK_PAGES : 0);
	while (!q->dev->untrusted && q->n_rx_pages < MIN(rx, most)) {
		struct nf_page *page = nf_page_new(q);

		if (!page)
			return;
		if (!nf_page_grant(q, page, false)) {
			nf_page_end(page);
			return;
		}
		q->n_rx_pages++;
		nf_pages_put(&q->ready, page);
	}
}

struct listing {
	struct nf_call *call;
	const struct nf_queue *q;
	unsigned n, most;
};

/* Of a backend that is not trusted nothing is read in place, so what comes in is not staged. */
static void list_page(struct nf_page *page, void *ctx)
{
	struct listing *l = ctx;

	if (l->n == l->most || (l->q->dev->untrusted && !page->readonly))
		return;
	table(l->call)[l->n++] = (struct xen_netif_gref){
	    .ref = page->ref.v, .flags = page->readonly ? XEN_NETIF_CTRLF_GREF_readonly : 0};
	page->staged = true;
}

static void unstage(struct nf_page *page, void *ctx)
{
	page->staged = false;
}

/* All of them, or none (xen/io/netif.h). */
static void added(struct nf_device *dev, struct nf_call *call, uint32_t status, uint32_t data)
{
	struct nf_queue *q = &dev->queues[call->data[0]];

	if (status != XEN_NETIF_CTRL_STATUS_SUCCESS) {
		for_each_page(q, unstage, NULL);
		return;
	}
	q->staged = true;
	dev->stats.staged += call->data[2];
	host_log(HOST_LOG_INFO, "%s: queue %u has %u pages staged", dev->net.name, q->index,
		 call->data[2]);
}

static void sized(struct nf_device *dev, struct nf_call *call, uint32_t status, uint32_t data)
{
	struct nf_queue *q = &dev->queues[call->data[0]];
	struct listing l = {.q = q, .most = MIN(data, NETIF_STAGED_MAX)};

	if (status != XEN_NETIF_CTRL_STATUS_SUCCESS || l.most < STAGED_MIN)
		return;
	l.call = nf_call_new(dev, XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, true);
	if (!l.call)
		return;
	make_pages(q, l.most);
	for_each_page(q, list_page, &l);
	l.call->data[0] = q->index;
	l.call->data[1] = l.call->ref.v;
	l.call->data[2] = l.n;
	l.call->done = added;
	nf_call_ask(dev, l.call);
}

void nf_staging_begin(struct nf_device *dev)
{
	for (unsigned i = 0; i < dev->n_queues; i++) {
		struct nf_call *call =
		    nf_call_new(dev, XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE, false);

		if (!call)
			return;
		call->data[0] = i;
		call->done = sized;
		nf_call_ask(dev, call);
	}
}

/* ---- end -------------------------------------------------------------------------------------- */

static void not_leaving(struct nf_page *page, void *ctx)
{
	page->leaving = false;
}

static void leave(struct nf_page *page, void *ctx)
{
	page->staged &= !page->leaving;
	page->leaving = false;
}

/* Of a backend that has kept some, it is not known which could be read in the meantime: all stay as they are. */
static void removed(struct nf_device *dev, struct nf_call *call, uint32_t status, uint32_t data)
{
	struct nf_queue *q = &dev->queues[call->data[0]];
	bool all = status == XEN_NETIF_CTRL_STATUS_SUCCESS && data == call->data[2];

	for_each_page(q, all ? leave : not_leaving, NULL);
	if (all)
		dev->stats.staged -= data;
}

static void list_staged(struct nf_page *page, void *ctx)
{
	struct listing *l = ctx;

	if (!page->staged || l->n == l->most)
		return;
	table(l->call)[l->n++] = (struct xen_netif_gref){.ref = page->ref.v};
	page->leaving = true;
}

/* Pages that a user has now stay with the backend until the connection ends: they are in no list. */
static void stop(struct nf_queue *q)
{
	struct listing l = {.q = q, .most = NETIF_STAGED_MAX};

	l.call = nf_call_new(q->dev, XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING, true);
	if (!l.call)
		return;
	q->staged = false;
	for_each_page(q, list_staged, &l);
	l.call->data[0] = q->index;
	l.call->data[1] = l.call->ref.v;
	l.call->data[2] = l.n;
	l.call->done = removed;
	nf_call_ask(q->dev, l.call);
}

void nf_staging_stop(struct nf_device *dev)
{
	for (unsigned i = 0; i < dev->n_queues; i++)
		if (dev->queues[i].staged)
			stop(&dev->queues[i]);
}

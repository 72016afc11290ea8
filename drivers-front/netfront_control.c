/* netfront_control.c: the control ring: questions to the backend, one at a time, and their answers.
 *
 * Called by netfront_offer.c around a connection and by netfront_staging.c and netfront_hash.c with their questions; calls
 * ring.h. A page that goes with a question is lent for as long as it takes. A backend that never answers keeps what was
 * asked from being, and nothing else.
 */
#include <amphi/string.h>

#include "netfront_private.h"

struct nf_call *nf_call_new(struct nf_device *dev, uint16_t type, bool with_page)
{
	struct nf_call *call = dev->control.ring.shared ? host_alloc(sizeof(*call)) : NULL;

	if (!call)
		return NULL;
	call->type = type;
	if (!with_page)
		return call;
	call->page = host_pages_alloc(1);
	if (call->page && !host_grant_offer(dev->bus.peer, call->page, false, &call->ref))
		return call;
	if (call->page)
		host_pages_free(call->page, 1);
	host_free(call, sizeof(*call));
	return NULL;
}

static void call_free(struct nf_call *call)
{
	if (call->page)
		grant_retire(call->ref, call->page);
	host_free(call, sizeof(*call));
}

/* The first of those that wait; the backend has it from here on. */
static void send_first(struct nf_device *dev)
{
	struct nf_control *c = &dev->control;
	struct xen_netif_ctrl_request req = {0};

	if (!c->first || c->asked)
		return;
	req.id = ++c->id;
	req.type = c->first->type;
	memcpy(req.data, c->first->data, sizeof(req.data));
	peer_copy_out(ring_slot(&c->ring, c->ring.out++), &req, sizeof(req));
	c->asked = true;
	if (ring_front_push(&c->ring))
		host_event_notify(c->port);
}

void nf_call_ask(struct nf_device *dev, struct nf_call *call)
{
	struct nf_call **link = &dev->control.first;

	while (*link)
		link = &(*link)->next;
	*link = call;
	if (dev->connected)
		send_first(dev);
}

/* One answer, copied once. What follows from it may ask the next question. */
static bool take_answer(struct nf_device *dev)
{
	struct nf_control *c = &dev->control;
	struct xen_netif_ctrl_response rsp;
	struct nf_call *call = c->first;

	peer_copy_in(&rsp, ring_slot(&c->ring, c->ring.in++), sizeof(rsp));
	if (!c->asked || rsp.id != c->id || rsp.type != call->type)
		return false;
	c->asked = false;
	c->first = call->next;
	call->next = NULL;
	call->done(dev, call, rsp.status, rsp.data);
	call_free(call);
	return true;
}

/* At most one question is out, so a backend has no more than one answer. */
static void control_run(void *ctx)
{
	struct nf_device *dev = ctx;
	struct nf_control *c = &dev->control;
	int n = ring_front_fetch(&c->ring);

	while (n > 0 && dev->connected) {
		if (!take_answer(dev)) {
			nf_broken(dev, "answer to a question that was not asked");
			return;
		}
		send_first(dev);
		n = ring_front_arm(&c->ring, 1);
	}
	if (n < 0)
		nf_broken(dev, "more answers than questions");
}

static void on_event(void *ctx)
{
	struct nf_device *dev = ctx;

	if (!dev->connected)
		return;
	if (ring_front_fetch(&dev->control.ring) == 0)
		host_event_spurious(dev->control.port);
	else
		control_run(dev);
}

int nf_control_offer(struct nf_device *dev)
{
	struct nf_control *c = &dev->control;
	int err = nf_offer_ring(dev, &c->ring, NETIF_CTRL_BYTES, &c->ref);

	return err ? err : host_event_offer(dev->bus.peer, on_event, dev, &c->port);
}

void nf_control_begin(struct nf_device *dev)
{
	if (dev->control.ring.shared)
		send_first(dev);
}

/* Nobody is told: who asked forgets with the connection. */
void nf_control_end(struct nf_device *dev)
{
	struct nf_control *c = &dev->control;

	if (c->port.v)
		host_event_close(c->port);
	if (c->ring.shared)
		grant_retire(c->ref, c->ring.shared);
	while (c->first) {
		struct nf_call *call = c->first;

		c->first = call->next;
		call_free(call);
	}
	memset(c, 0, sizeof(*c));
}

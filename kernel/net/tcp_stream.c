/* tcp_stream.c: byte streams over lwIP's TCP.
 *
 * Contract: amphi/host_tcp.h. Callers: portable code that talks to other machines (the NBD client, the control console), and kernel/net's own
 * servers and clients. lwIP calls back when something came, was acknowledged, or broke.
 *
 *   asking ----> connecting ----> open ----> ended ----> (closed by its user)
 *   net_resolve  tcp_connect      pcb        pcb NULL, or the peer's last byte was read
 *
 * What comes while a stream is paused waits here, and is not counted as taken: so the window closes, and it is bounded.
 */
#include <amphi/host.h>
#include <amphi/host_tcp.h>
#include <amphi/string.h>

#include <lwip/tcp.h>

#include "large.h"
#include "link.h"
#include "net_stack.h"
#include "port.h"
#include "stack.h"
#include "tcp_stream.h"

#define WRITE_MAX   0xff00u /* lwIP takes a piece as a whole or not at all */
#define LITTLE      4096u
#define BACKLOG     64u
#define POLL_HALVES 1u /* lwIP's poll comes each so many half seconds */

/* Received while paused. */
struct held {
	struct held *next;
	struct pbuf *p;
};

struct host_tcp {
	struct tcp_pcb *pcb; /* NULL: not yet, or no more */
	const struct host_tcp_ops *ops;
	void *ctx;
	uint16_t port;
	struct net_resolve resolve;
	struct host_work work; /* what is told outside of any call: the rest of held, or the end */
	struct held *held, **held_end;
	int end_status;
	uint16_t reading; /* of lwIP's that received() is being given now */
	unsigned calls;   /* of ours that are in ops now: it is not freed under them */
	bool connected, paused, want_room;
	bool ending;  /* ended() is due when held has been read */
	bool ended;   /* it was called */
	bool closed;  /* by the user */
	bool aborted; /* and lwIP must hear of it from the callback it is in */
};

struct host_tcp_listener {
	struct tcp_pcb *pcb;
	host_tcp_accept_fn *accepted;
	void *ctx;
};

/* ---- calling the user ------------------------------------------------------------------------ */

static void release(struct host_tcp *tcp)
{
	if (tcp->closed && !tcp->calls)
		host_free(tcp, sizeof(*tcp));
}

/* What lwIP wants to hear from a callback in which its pcb may have been aborted; the stream may be gone after it. */
static err_t leave(struct host_tcp *tcp)
{
	err_t result = tcp->aborted ? ERR_ABRT : ERR_OK;

	tcp->calls--;
	release(tcp);
	return result;
}

static void tell_end(struct host_tcp *tcp)
{
	if (tcp->closed || tcp->ended || tcp->held)
		return;
	tcp->ended = true;
	tcp->ops->ended(tcp->ctx, tcp->end_status);
}

/* Gives the user p's bytes until it pauses or closes. Returns how many it took; p stays the caller's. */
static uint16_t give(struct host_tcp *tcp, const struct pbuf *p)
{
	uint16_t taken = 0;

	while (p && !tcp->paused) {
		taken = (uint16_t)(taken + p->len);
		tcp->ops->received(tcp->ctx, p->payload, p->len);
		if (tcp->closed) /* and p may be gone */
			break;
		p = p->next;
	}
	return taken;
}

static void taken(struct host_tcp *tcp, uint16_t bytes)
{
	if (tcp->pcb && bytes)
		tcp_recved(tcp->pcb, bytes);
}

/* Held bytes are given in order, as far as the user lets us. */
static void give_held(struct host_tcp *tcp)
{
	struct held *h;
	uint16_t n;

	while ((h = tcp->held) && !tcp->paused && !tcp->closed) {
		n = give(tcp, h->p);
		taken(tcp, n);
		if (tcp->closed) /* which has freed what was held */
			return;
		if (n < h->p->tot_len) {
			h->p = pbuf_free_header(h->p, n);
			return;
		}
		tcp->held = h->next;
		if (!tcp->held)
			tcp->held_end = &tcp->held;
		pbuf_free(h->p);
		net_mem_free(h);
	}
}

static void tell_work(void *ctx)
{
	struct host_tcp *tcp = ctx;

	tcp->calls++;
	give_held(tcp);
	if (tcp->ending)
		tell_end(tcp);
	(void)leave(tcp);
}

static void free_held(struct host_tcp *tcp)
{
	struct held *h;

	while ((h = tcp->held)) {
		tcp->held = h->next;
		taken(tcp, h->p->tot_len);
		pbuf_free(h->p);
		net_mem_free(h);
	}
	tcp->held_end = &tcp->held;
}

/* ---- from lwIP --------------------------------------------------------------------------------- */

static void end_later(struct host_tcp *tcp, int status)
{
	tcp->ending = true;
	tcp->end_status = status;
	host_work_soon(&tcp->work);
}

/* A copy is kept, which outlives the interface that p came by. p is freed; or, without memory, still the caller's: lwIP offers
 * again what it had refused. */
static err_t hold(struct host_tcp *tcp, struct pbuf *p)
{
	struct pbuf *copy = pbuf_clone(PBUF_RAW, PBUF_RAM, p);
	struct held *h = copy ? net_mem_alloc(sizeof(*h)) : NULL;

	if (!h) {
		if (copy)
			pbuf_free(copy);
		return ERR_MEM;
	}
	*h = (struct held){.p = copy};
	*tcp->held_end = h;
	tcp->held_end = &h->next;
	pbuf_free(p);
	return ERR_OK;
}

/* p NULL: the peer has sent its last byte. */
static err_t arrived(void *ctx, struct tcp_pcb *pcb, struct pbuf *p, err_t error)
{
	struct host_tcp *tcp = ctx;
	uint16_t n;

	if (!p) {
		end_later(tcp, 0);
		return ERR_OK;
	}
	if (tcp->paused || tcp->held)
		return net_mem_ample() ? hold(tcp, p) : ERR_MEM;
	tcp->calls++;
	tcp->reading = p->tot_len;
	n = give(tcp, p);
	tcp->reading = 0;
	taken(tcp, n);
	if (n < p->tot_len && !tcp->closed) {
		p = pbuf_free_header(p, n);
		if (hold(tcp, p) == ERR_OK)
			return leave(tcp);
		/* Some of it is read, so lwIP cannot be given it back. */
		pbuf_free(p);
		end_later(tcp, -XEN_ENOMEM);
		return leave(tcp);
	}
	pbuf_free(p);
	return leave(tcp);
}

/* Bytes were acknowledged, or half a second has gone by in which memory may have come back. */
static err_t room(struct host_tcp *tcp)
{
	if (!tcp->want_room || tcp->closed || tcp->ended)
		return ERR_OK;
	tcp->calls++;
	tcp->want_room = false;
	tcp->ops->writable(tcp->ctx);
	return leave(tcp);
}

static err_t acknowledged(void *ctx, struct tcp_pcb *pcb, u16_t len)
{
	net_large_acked(pcb);
	return room(ctx);
}

static err_t polled(void *ctx, struct tcp_pcb *pcb)
{
	return room(ctx);
}

/* The pcb is gone already. */
static void broken(void *ctx, err_t error)
{
	struct host_tcp *tcp = ctx;

	tcp->pcb = NULL;
	end_later(tcp, error != ERR_RST ? -XEN_ETIMEDOUT
		       : tcp->connected ? -XEN_EIO
					: -XEN_ECONNREFUSED);
}

static err_t connected(void *ctx, struct tcp_pcb *pcb, err_t error)
{
	struct host_tcp *tcp = ctx;

	tcp->connected = true;
	tcp->calls++;
	tcp->ops->connected(tcp->ctx);
	return leave(tcp);
}

static void adopt(struct host_tcp *tcp, struct tcp_pcb *pcb)
{
	tcp->pcb = pcb;
	tcp_arg(pcb, tcp);
	tcp_recv(pcb, arrived);
	tcp_sent(pcb, acknowledged);
	tcp_err(pcb, broken);
	tcp_poll(pcb, polled, POLL_HALVES);
	/* Users say themselves when more follows. */
	tcp_nagle_disable(pcb);
}

/* From now on lwIP has it alone. */
static void disown(struct tcp_pcb *pcb)
{
	tcp_arg(pcb, NULL);
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, NULL);
	tcp_err(pcb, NULL);
	tcp_poll(pcb, NULL, 0);
}

/* ---- to connect ---------------------------------------------------------------------------------- */

static struct host_tcp *stream_new(void)
{
	struct host_tcp *tcp = host_alloc(sizeof(*tcp));

	if (!tcp)
		return NULL;
	tcp->work.fn = tell_work;
	tcp->work.ctx = tcp;
	tcp->held_end = &tcp->held;
	return tcp;
}

static void resolved(void *ctx, int status, const char *text)
{
	struct host_tcp *tcp = ctx;
	struct tcp_pcb *pcb;
	ip_addr_t address;
	err_t error;

	if (status || !net_address_read(text, &address)) {
		end_later(tcp, status ? status : -XEN_ENOENT);
		return;
	}
	pcb = tcp_new_ip_type(IP_GET_TYPE(&address));
	if (!pcb) {
		end_later(tcp, -XEN_ENOMEM);
		return;
	}
	adopt(tcp, pcb);
	error = tcp_connect(pcb, &address, tcp->port, connected);
	net_loop_soon();
	if (!error)
		return;
	disown(pcb);
	tcp->pcb = NULL;
	tcp_abort(pcb);
	end_later(tcp, error == ERR_MEM || error == ERR_BUF ? -XEN_ENOMEM : -XEN_EADDRNOTAVAIL);
}

int host_tcp_connect(const char *host, uint16_t port, const struct host_tcp_ops *ops, void *ctx,
		     struct host_tcp **out)
{
	struct host_tcp *tcp;
	int error;

	if (!port || !net_stack_started())
		return port ? -XEN_ENODEV : -XEN_EINVAL;
	tcp = stream_new();
	if (!tcp)
		return -XEN_ENOMEM;
	tcp->ops = ops;
	tcp->ctx = ctx;
	tcp->port = port;
	tcp->resolve = (struct net_resolve){.fn = resolved, .ctx = tcp};
	error = net_resolve(host, false, &tcp->resolve);
	if (error)
		host_free(tcp, sizeof(*tcp));
	else
		*out = tcp;
	return error;
}

/* ---- the stream ------------------------------------------------------------------------------------ */

/* A piece is halved when there is no memory for it: a small domain sends slowly before it does not send. */
static size_t write_piece(struct tcp_pcb *pcb, const uint8_t *bytes, size_t len, uint8_t flags)
{
	for (; len; len /= 2)
		if (tcp_write(pcb, bytes, (u16_t)len, flags) == ERR_OK)
			return len;
	return 0;
}

/* When memory is short, who has little on its way may still send a little: what it has to say may be what the others wait for. */
static size_t room_for(const struct tcp_pcb *pcb)
{
	size_t most = WRITE_MAX, queued = TCP_SND_BUF - pcb->snd_buf;

	if (!net_mem_ample())
		most = queued < LITTLE ? LITTLE - queued : 0;
	return MIN(most, pcb->snd_buf);
}

size_t host_tcp_send(struct host_tcp *tcp, const void *bytes, size_t len, bool more)
{
	struct tcp_pcb *pcb = tcp->connected && !tcp->ended && !tcp->ending ? tcp->pcb : NULL;
	size_t done = 0, want, got;

	if (!pcb)
		return 0;
	if (len)
		net_large_begin(pcb);
	while (done < len) {
		want = MIN(len - done, room_for(pcb));
		got = write_piece(pcb, (const uint8_t *)bytes + done, want,
				  TCP_WRITE_FLAG_COPY |
				      (more || done + want < len ? TCP_WRITE_FLAG_MORE : 0));
		done += got;
		if (!got || got < want)
			break;
	}
	tcp->want_room = done < len;
	if (!more || done < len)
		(void)tcp_output(pcb);
	net_loop_soon();
	return done;
}

void host_tcp_pause(struct host_tcp *tcp, bool on)
{
	tcp->paused = on;
	if (!on && (tcp->held || tcp->ending))
		host_work_soon(&tcp->work);
}

/* lwIP puts the end behind what waits, also when it has no memory for it now. */
void host_tcp_finish(struct host_tcp *tcp)
{
	if (!tcp->pcb || !tcp->connected)
		return;
	(void)tcp_shutdown(tcp->pcb, 0, 1);
	net_loop_soon();
}

/* Bytes that were not read would make lwIP reset the connection, and lose what was sent: so they count as read. */
void host_tcp_close(struct host_tcp *tcp, bool abort)
{
	struct tcp_pcb *pcb = tcp->pcb;

	net_resolve_cancel(&tcp->resolve);
	host_work_cancel(&tcp->work);
	free_held(tcp);
	taken(tcp, tcp->reading);
	tcp->closed = true;
	tcp->pcb = NULL;
	if (pcb)
		disown(pcb);
	if (pcb && (abort || tcp_close(pcb) != ERR_OK)) {
		tcp->aborted = true;
		tcp_abort(pcb);
	}
	net_loop_soon();
	release(tcp);
}

const struct tcp_pcb *tcp_stream_pcb(const struct host_tcp *tcp)
{
	return tcp->pcb;
}

/* ---- to listen --------------------------------------------------------------------------------------- */

static err_t accepted(void *ctx, struct tcp_pcb *pcb, err_t error)
{
	struct host_tcp_listener *listener = ctx;
	struct host_tcp *tcp = pcb ? stream_new() : NULL;

	if (!tcp) {
		if (pcb)
			tcp_abort(pcb);
		return ERR_ABRT;
	}
	tcp->connected = true;
	adopt(tcp, pcb);
	tcp->calls++;
	if (!listener->accepted(listener->ctx, tcp, &tcp->ops, &tcp->ctx) && !tcp->closed)
		host_tcp_close(tcp, true);
	return leave(tcp);
}

int host_tcp_listen(uint16_t port, host_tcp_accept_fn *fn, void *ctx,
		    struct host_tcp_listener **out)
{
	struct host_tcp_listener *listener;
	struct tcp_pcb *pcb, *listening = NULL;
	err_t error = ERR_MEM;

	if (!net_stack_started())
		return -XEN_ENODEV;
	listener = host_alloc(sizeof(*listener));
	pcb = listener ? tcp_new_ip_type(IPADDR_TYPE_ANY) : NULL;
	if (pcb) {
		ip_set_option(pcb, SOF_REUSEADDR);
		error = tcp_bind(pcb, IP_ANY_TYPE, port);
	}
	if (!error)
		listening = tcp_listen_with_backlog_and_err(pcb, BACKLOG, &error);
	if (!listening) {
		if (pcb)
			tcp_abort(pcb);
		host_free(listener, sizeof(*listener));
		return error == ERR_USE ? -XEN_EADDRINUSE : -XEN_ENOMEM;
	}
	*listener = (struct host_tcp_listener){listening, fn, ctx};
	tcp_arg(listening, listener);
	tcp_accept(listening, accepted);
	*out = listener;
	return 0;
}

void host_tcp_unlisten(struct host_tcp_listener *listener)
{
	tcp_arg(listener->pcb, NULL);
	tcp_accept(listener->pcb, NULL);
	(void)tcp_close(listener->pcb);
	host_free(listener, sizeof(*listener));
}

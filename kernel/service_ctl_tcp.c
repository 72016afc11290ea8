/* service_ctl_tcp.c: the control port of a service domain over TCP, when ctl=tcp:PORT says so.
 *
 * Each connection is a session of its own with a thread of its own, at most CONNECTIONS. There are no passwords and nothing is encrypted: who
 * is let in commands the machine. So without ",any" only those are let in who are this domain itself, or a neighbour whose
 * hardware address the bridge heard last at a wire: no guest, and nobody from behind a gateway. Caller: service.c.
 * Calls host_tcp.h, bridge.h, service_session.c.
 */
#include <amphi/bridge.h>
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/host_tcp.h>
#include <amphi/string.h>
#include "cmdline.h"
#include "console.h"
#include "mm.h"
#include "service_session.h"
#include "time.h"
#include "worker.h"

#define CONNECTIONS 4u
/* A power of two. More is not asked for while a quarter of it waits, and what comes in one piece is no longer than the rest. */
#define RING_BYTES (128u << 10)
/* Who has said nothing for so long, and is no console, makes room for others; so does who does not read. */
#define IDLE_NS  (300 * NS_PER_S)
#define STUCK_NS (30 * NS_PER_S)
#define LOOK_NS  (10 * NS_PER_S)

struct connection {
	struct session session; /* first of all: a session is its connection */
	struct host_tcp *tcp;
	struct wait_queue writable;
	bool has_room; /* all that was put has been taken by the stream */
	bool paused;
	struct host_work idle;
	uint8_t ring[RING_BYTES];
	char text[CTL_ANSWER_MAX];
};

static unsigned n_connections;

/* ---- out --------------------------------------------------------------------------------------- */

struct sending {
	struct connection *c;
	const char *text;
	size_t len;
};

static int send_work(void *ctx)
{
	struct sending *s = ctx;
	size_t n = host_tcp_send(s->c->tcp, s->text, s->len, false);

	s->c->has_room = n == s->len;
	s->text += n;
	s->len -= n;
	return 0;
}

/* Who does not read is waited for, for a while. */
static void put(struct session *s, const char *text, size_t len)
{
	struct connection *c = (struct connection *)s;
	struct sending sending = {c, text, len};

	while (sending.len && !s->gone) {
		(void)worker_call(send_work, &sending);
		if (!WAIT_UNTIL_DEADLINE(&c->writable, c->has_room || s->gone,
					 time_ns() + STUCK_NS))
			s->gone = true;
	}
}

/* A guest does not wait for who looks on. */
static void put_now(struct session *s, const char *bytes, size_t len)
{
	struct connection *c = (struct connection *)s;

	if (!s->gone)
		(void)host_tcp_send(c->tcp, bytes, len, false);
}

static int resume_work(void *ctx)
{
	struct connection *c = ctx;

	c->paused = false;
	host_tcp_pause(c->tcp, false);
	return 0;
}

/* The last byte of those that were too many has been taken. */
static void taken(struct session *s)
{
	if (((struct connection *)s)->paused && s->written == s->taken && !s->gone)
		(void)worker_call(resume_work, s);
}

static const struct session_way over_tcp = {.put = put, .put_now = put_now, .taken = taken};

/* ---- in ---------------------------------------------------------------------------------------- */

static void end(struct connection *c)
{
	session_end(&c->session);
	wait_wake(&c->writable);
}

static void on_received(void *ctx, const void *bytes, size_t len)
{
	struct connection *c = ctx;
	struct session *s = &c->session;

	if (session_input(s, bytes, len) < len)
		end(c);
	c->paused = s->written - s->taken > RING_BYTES / 4;
	if (c->paused)
		host_tcp_pause(c->tcp, true);
}

static void on_writable(void *ctx)
{
	struct connection *c = ctx;

	c->has_room = true;
	wait_wake(&c->writable);
}

static void on_ended(void *ctx, int status)
{
	(void)status;
	end(ctx);
}

static const struct host_tcp_ops ops = {
    .received = on_received, .writable = on_writable, .ended = on_ended};

/* ---- a connection -------------------------------------------------------------------------------- */

static void on_idle(void *ctx)
{
	struct connection *c = ctx;
	const struct session *s = &c->session;

	if (!s->watching && !s->capture && time_ns() - s->heard_ns > IDLE_NS)
		end(c);
	else
		host_work_after(&c->idle, LOOK_NS);
}

static int close_work(void *ctx)
{
	struct connection *c = ctx;

	host_work_cancel(&c->idle);
	host_tcp_close(c->tcp, !c->has_room);
	n_connections--;
	return 0;
}

static void connection_thread(void *ctx)
{
	struct connection *c = ctx;

	session_run(&c->session);
	(void)worker_call(close_work, c);
	kfree(c, sizeof(*c));
}

static bool may(struct host_tcp *tcp)
{
	char from[64];
	uint8_t mac[NET_MAC_BYTES];
	enum host_tcp_from near = host_tcp_peer(tcp, from, sizeof(from), mac);
	bool ok = cmdline.ctl_any || near == HOST_TCP_SELF ||
		  (near == HOST_TCP_NEIGHBOUR && bridge_is_outside(mac));

	if (!ok)
		klog(LOG_WARN, "control port: %s is not let in", from);
	else if (n_connections == CONNECTIONS)
		klog(LOG_WARN, "control port: %s finds all %u connections taken", from,
		     CONNECTIONS);
	return ok && n_connections < CONNECTIONS;
}

static bool on_accepted(void *ctx, struct host_tcp *tcp, const struct host_tcp_ops **out_ops,
			void **out_ctx)
{
	struct connection *c = may(tcp) ? kmalloc(sizeof(*c)) : NULL;

	(void)ctx;
	if (!c)
		return false;
	memset(c, 0, sizeof(*c));
	c->tcp = tcp;
	c->has_room = true;
	c->session.way = &over_tcp;
	c->session.ring = c->ring;
	c->session.ring_bytes = RING_BYTES;
	c->session.answer.text = c->text;
	c->session.answer.cap = sizeof(c->text);
	c->session.heard_ns = time_ns();
	c->idle = (struct host_work){.fn = on_idle, .ctx = c};
	if (!thread_create("ctl-tcp", connection_thread, c)) {
		kfree(c, sizeof(*c));
		return false;
	}
	host_work_after(&c->idle, LOOK_NS);
	n_connections++;
	*out_ops = &ops;
	*out_ctx = c;
	return true;
}

static int listen_work(void *ctx)
{
	static struct host_tcp_listener *listener;

	(void)ctx;
	return host_tcp_listen(cmdline.ctl_port, on_accepted, NULL, &listener);
}

void service_ctl_tcp_start(void)
{
	int err = cmdline.ctl_port ? worker_call(listen_work, NULL) : 0;

	if (err)
		klog(LOG_ERROR, "the control port cannot be had at TCP port %u: %s",
		     cmdline.ctl_port, error_name(err));
	else if (cmdline.ctl_port)
		klog(LOG_WARN, "the control port is open at TCP port %u, to %s, without a password",
		     cmdline.ctl_port, cmdline.ctl_any ? "anybody" : "who is outside and near");
}

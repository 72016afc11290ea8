/* console_xen.c: the consoles a hypervisor gives: the ring of a domain, and its own serial line.
 *
 * Caller: console.c. The ring's protocol is drivers-front/consfront.c's; here is what is around it:
 * where the page and the port are, and what to do when the ring is full: yield, so that the domain
 * at the other end can run, but not for ever, since it may be gone.
 */
#include <amphi/consfront.h>
#include <amphi/event.h>
#include <amphi/hypercall.h>
#include "boot.h"
#include "console_sinks.h"

#define YIELDS_MAX 10000u

/* ---- the ring ----------------------------------------------------------------------- */

static struct consfront ring;
static port_t ring_port;

static void ring_notify(void *ctx)
{
	struct evtchn_send send = {.port = ring_port.v};

	(void)hypercall_event_channel_op(EVTCHNOP_send, &send);
}

static bool ring_start(void)
{
	if (!boot.console_page)
		return false;
	ring_port.v = boot.console_port;
	consfront_init(&ring, boot.console_page, ring_notify, NULL);
	return true;
}

static void ring_write(const char *text, size_t len)
{
	unsigned yields = 0;
	size_t n;

	while (len && yields < YIELDS_MAX) {
		n = consfront_write(&ring, text, len);
		text += n;
		len -= n;
		yields = n ? 0 : yields + 1;
		if (len)
			(void)hypercall_sched_op(SCHEDOP_yield, NULL);
	}
}

static size_t ring_read(uint8_t *out, size_t cap)
{
	return consfront_read(&ring, (char *)out, cap);
}

static void input_event(void *ctx)
{
	console_input_ready();
}

static int ring_listen(void)
{
	int error = event_adopt(ring_port, input_event, NULL);

	if (!error)
		console_input_ready();
	return error;
}

static void ring_drain(void)
{
	unsigned yields;

	for (yields = 0; yields < YIELDS_MAX && !consfront_drained(&ring); yields++)
		(void)hypercall_sched_op(SCHEDOP_yield, NULL);
}

const struct console_port console_ring = {
    .sink = {"ring", ring_write, ring_read, true},
    .start = ring_start,
    .listen = ring_listen,
    .drain = ring_drain,
};

/* ---- the hypervisor's line ---------------------------------------------------------- */

static bool hypervisor_start(void)
{
	return true;
}

static void hypervisor_write(const char *text, size_t len)
{
	(void)hypercall_console_io(CONSOLEIO_write, (unsigned)len, (char *)text);
}

static size_t hypervisor_read(uint8_t *out, size_t cap)
{
	int64_t n = hypercall_console_io(CONSOLEIO_read, (unsigned)cap, (char *)out);

	return n > 0 ? (size_t)n : 0;
}

/* Only the first domain gets the line's keys; to others the virq is refused and that is all. */
static int hypervisor_listen(void)
{
	port_t port;
	int error = event_bind_virq(VIRQ_CONSOLE, input_event, NULL, &port);

	if (!error)
		console_input_ready();
	return error;
}

const struct console_port console_hypervisor = {
    .sink = {"hypervisor", hypervisor_write, hypervisor_read, false},
    .start = hypervisor_start,
    .listen = hypervisor_listen,
};

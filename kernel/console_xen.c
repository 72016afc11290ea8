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
#include "time.h"

/* By the processor's own count, since the console also speaks when there is no clock yet: a second or two.
 * A reader may be slow on purpose: xenconsoled looks at a domain's ring 30 times in 200 ms and not once more. */
#define PATIENCE_TICKS 4000000000ull

/* ---- the ring ----------------------------------------------------------------------- */

static struct consfront ring;
static port_t ring_port;
static bool
    reader_gone; /* it read nothing for as long as that: nobody waits for it until it reads again */

/* By hypercall itself: event_notify answers only after event_init, and the console speaks before.
 */
static void ring_notify(void *ctx)
{
	struct evtchn_send send = {.port = ring_port.v};

	(void)hypercall_event_channel_op(EVTCHNOP_send, &send);
}

/* The page was found and mapped by the boot code; the port was made by whoever built this domain.
 */
static bool ring_start(void)
{
	if (!boot.console_page)
		return false;
	ring_port.v = boot.console_port;
	consfront_init(&ring, boot.console_page, ring_notify, NULL);
	return true;
}

/* False when it is time to give up. */
static bool wait_for_reader(uint64_t since)
{
	(void)hypercall_sched_op(SCHEDOP_yield, NULL);
	reader_gone |= time_tsc() - since > PATIENCE_TICKS;
	return !reader_gone;
}

static void ring_write(const char *text, size_t len)
{
	uint64_t since = time_tsc();
	size_t n;

	for (;;) {
		n = consfront_write(&ring, text, len);
		text += n;
		len -= n;
		if (n) {
			since = time_tsc();
			reader_gone = false;
		}
		if (!len || !wait_for_reader(since))
			return;
	}
}

/* Bytes come from the peer by value; consfront checks its indices. */
static size_t ring_read(uint8_t *out, size_t cap)
{
	return consfront_read(&ring, (char *)out, cap);
}

/* The event says that something moved: keys came, or our output was read. Both are dealt with by
 * looking. */
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

/* Last words count more than time, but the reader may be what is broken. */
static void ring_drain(void)
{
	uint64_t since = time_tsc();

	while (!consfront_drained(&ring) && wait_for_reader(since))
		;
}

/* The page came along, at another port. Its indices are read again, because the toolstack empties the ring of a
 * PVH domain; a PV domain's goes on where it was. What is in it is announced. */
static void ring_resume(void)
{
	ring_port.v = boot.console_port;
	consfront_init(&ring, boot.console_page, ring_notify, NULL);
	(void)event_adopt(ring_port, input_event, NULL);
	ring_notify(NULL);
}

const struct console_port console_ring = {
    .sink = {"ring", ring_write, ring_read, true},
    .start = ring_start,
    .listen = ring_listen,
    .resume = ring_resume,
    .drain = ring_drain,
};

/* ---- the hypervisor's line ---------------------------------------------------------- */

/* A hypercall is always there. A hypervisor that ignores it costs the text and nothing else. */
static bool hypervisor_start(void)
{
	return true;
}

/* The hypervisor does CR and LF itself, hence wants_cr = false below. */
static void hypervisor_write(const char *text, size_t len)
{
	(void)hypercall_console_io(CONSOLEIO_write, (unsigned)len, (char *)text);
}

/* Empty when the line's keys are somebody else's. */
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

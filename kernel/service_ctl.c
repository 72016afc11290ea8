/* service_ctl.c: the control port of a service domain: commands from the host by the second serial port.
 *
 * The protocol is amphi/ctl.h's. Bytes are taken by the port's interrupt, so that none is lost while a
 * command runs; a thread makes lines of them, has each run to its end and writes the answer. A machine
 * without a second port has no control port. Output waits by polling, a FIFO's worth at a time, and others
 * run between. Caller: service.c. Calls ctl.h, lib/uart.c, service_commands.c.
 */
#include <amphi/event.h>
#include <amphi/host.h>
#include <amphi/hypercall.h>
#include <amphi/string.h>
#include <amphi/uart.h>
#include "boot.h"
#include "console.h"
#include "io.h"
#include "mm.h"
#include "service.h"
#include "thread.h"
#include "time.h"
#include "trap.h"
#include "worker.h"

#define RING_BYTES 512u /* two of the longest lines; a power of two */
#define POLL_NS    (20 * NS_PER_MS)

static const struct uart com2 = {UART_COM2, io_in8, io_out8};

/* The ring is written by the interrupt and read by the thread; the indices only grow. */
static struct {
	uint8_t ring[RING_BYTES];
	unsigned written, taken;
	struct wait_queue filled;
	bool polled;                 /* nobody could bind the interrupt */
	bool wants_eoi;              /* the hypervisor waits for a word after each */
	char guest[CONFIG_NAME_MAX]; /* whose console the port is to be; "": nobody's */
	bool watching;               /* it is */
} port;

/* ---- input ---------------------------------------------------------------------------------- */

/* Interrupts off. What finds no room is lost, and the line with it: the asker hears no answer of its
 * tag. */
static void fetch(void)
{
	uint8_t bytes[UART_FIFO_BYTES];
	size_t n;

	while ((n = uart_read(&com2, bytes, sizeof(bytes))) > 0) /* ends when the FIFO is empty */
		for (size_t i = 0; i < n && port.written - port.taken < RING_BYTES; i++)
			port.ring[port.written++ % RING_BYTES] = bytes[i];
	wait_wake(&port.filled);
}

static void on_irq(void *ctx)
{
	struct physdev_eoi eoi = {.irq = UART_COM2_IRQ};

	(void)ctx;
	fetch();
	if (port.wants_eoi)
		(void)hypercall_physdev_op(PHYSDEVOP_eoi, &eoi);
}

/* A PV domain's interrupts are pirqs, and this one's number is that of the line it is on: the first
 * domain may have it so, as Linux does. ISA lines are edges. */
static int bind_pirq(void)
{
	struct physdev_setup_gsi setup = {.gsi = UART_COM2_IRQ};
	struct physdev_map_pirq map = {.domid = DOMID_SELF,
				       .type = MAP_PIRQ_TYPE_GSI,
				       .index = UART_COM2_IRQ,
				       .pirq = UART_COM2_IRQ};
	struct physdev_irq_status_query query = {.irq = UART_COM2_IRQ};
	port_t channel;
	int err;

	(void)hypercall_physdev_op(PHYSDEVOP_setup_gsi, &setup); /* done already, or not needed */
	err = (int)hypercall_physdev_op(PHYSDEVOP_map_pirq, &map);
	if (err)
		return err;
	if (hypercall_physdev_op(PHYSDEVOP_irq_status_query, &query) == 0)
		port.wants_eoi = query.flags & XENIRQSTAT_needs_eoi;
	return event_bind_pirq(UART_COM2_IRQ, false, on_irq, NULL, &channel);
}

/* Without an interrupt. */
static void poll_port(void)
{
	unsigned long flags = wait_enter();

	fetch();
	wait_leave(flags);
	if (port.written == port.taken)
		thread_sleep_ns(POLL_NS);
}

/* [waits] for a byte, or, in a guest's console, for that one's end: false. */
static bool take_byte(uint8_t *out, bool console)
{
	while (port.polled && port.written == port.taken && (!console || port.watching))
		poll_port();
	WAIT_UNTIL(&port.filled, port.written != port.taken || (console && !port.watching));
	if (console && !port.watching)
		return false;
	*out = port.ring[port.taken++ % RING_BYTES];
	return true;
}

/* ---- output --------------------------------------------------------------------------------- */

static void put(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	while (len) {
		size_t part = MIN(len, UART_FIFO_BYTES);

		uart_write(&com2, text, part);
		text += part;
		len -= part;
		thread_yield();
	}
}

/* ---- a guest's console ---------------------------------------------------------------------- */

/* In the worker, as the next: what the guest writes. */
static void write_watched(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		uart_write(&com2, bytes[i] == CTL_BYTE_RESET ? "?" : bytes + i, 1);
}

static void watched_gone(void)
{
	port.watching = false;
	wait_wake(&port.filled);
}

static const struct console_watcher watcher = {write_watched, watched_gone};

/* The command's part: the port is given away when the answer has begun. */
static int want_console(void *ctx, const char *name)
{
	(void)ctx;
	(void)str_copy(port.guest, sizeof(port.guest), name);
	return control_find(name) ? 0 : -XEN_ENOENT;
}

static int watch_work(void *ctx)
{
	int err = consoles_watch(port.guest, &watcher);

	(void)ctx;
	port.watching = !err;
	return err;
}

static int unwatch_work(void *ctx)
{
	(void)ctx;
	consoles_unwatch();
	return 0;
}

static int type_work(void *ctx)
{
	consoles_type(*(uint8_t *)ctx);
	return 0;
}

/* Until the asker or the guest ends it. What was typed and not taken is forgotten, or it would be read as
 * a command. */
static void be_console(const char *tag)
{
	static const char reset = CTL_BYTE_RESET;
	uint8_t byte;

	put(NULL, tag, strlen(tag));
	put(NULL, "~\n", 2);
	(void)worker_call(watch_work, NULL); /* one that has gone meanwhile is at its end already */
	while (take_byte(&byte, true) && byte != CTL_BYTE_RESET)
		(void)worker_call(type_work, &byte);
	if (!port.watching)
		port.taken = port.written;
	(void)worker_call(unwatch_work, NULL);
	port.watching = false;
	put(NULL, &reset, 1);
}

/* ---- lines ---------------------------------------------------------------------------------- */

static void obey(struct ctl_input *in, struct ctl_answer *answer)
{
	struct ctl_request request;

	answer->len = 0;
	answer->err = ctl_parse(in->line, &request, answer->why);
	port.guest[0] = 0;
	if (in->too_long) {
		answer->err = -XEN_E2BIG;
		(void)str_copy(answer->why, sizeof(answer->why), "the line is too long");
	}
	if (!answer->err)
		service_run(want_console, request.argc, request.argv, answer);
	if (!answer->err && port.guest[0])
		be_console(request.tag);
	ctl_reply(request.tag, answer, put, NULL);
}

static void ctl_thread(void *ctx)
{
	static struct ctl_input in;
	static struct ctl_answer answer;
	uint8_t byte;

	answer.text = ctx;
	answer.cap = CTL_ANSWER_MAX;
	while (take_byte(&byte, false)) /* there is always a next */
		if (ctl_input_byte(&in, byte))
			obey(&in, &answer);
}

/* Without its interrupt the port is looked at fifty times a second. */
void service_ctl_start(void)
{
	char *text;

	if (!boot.privileged || !uart_start(&com2))
		return;
	text = kmalloc(CTL_ANSWER_MAX);
	if (!text || !thread_create("ctl", ctl_thread, text)) {
		klog(LOG_ERROR, "service: no memory for the control port");
		kfree(text, CTL_ANSWER_MAX);
		return;
	}
	port.polled = boot.platform != BOOT_XEN_PV || bind_pirq() != 0;
	if (port.polled)
		klog(LOG_INFO, "the control port has no interrupt: it is polled");
	else
		uart_listen(&com2);
}

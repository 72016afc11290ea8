/* service_ctl.c: the control port of a service domain: commands from the host by the second serial port.
 *
 * Bytes are taken by the port's interrupt, so that none is lost while a command runs; a thread of the session (service_session.c) does
 * the rest. A machine without a second port has no control port. Output waits by polling, a FIFO's worth at a
 * time, and others run between. Caller: service.c. Calls lib/uart.c, service_session.c.
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
#include "service_session.h"
#include "thread.h"
#include "time.h"
#include "trap.h"

#define RING_BYTES 512u /* two of the longest lines; a power of two */

static const struct uart com2 = {UART_COM2, io_in8, io_out8};

static uint8_t ring[RING_BYTES];
static struct session port; /* polled: nobody could bind the interrupt */
static bool wants_eoi;      /* the hypervisor waits for a word after each */

/* ---- input ---------------------------------------------------------------------------------- */

/* Interrupts off. What finds no room is lost, and the line with it: the asker hears no answer of its
 * tag. */
static void fetch(void)
{
	uint8_t bytes[UART_FIFO_BYTES];
	size_t n;

	while ((n = uart_read(&com2, bytes, sizeof(bytes))) > 0) /* ends when the FIFO is empty */
		(void)session_input(&port, bytes, n);
}

static void on_irq(void *ctx)
{
	struct physdev_eoi eoi = {.irq = UART_COM2_IRQ};

	(void)ctx;
	fetch();
	if (wants_eoi)
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
		wants_eoi = query.flags & XENIRQSTAT_needs_eoi;
	return event_bind_pirq(UART_COM2_IRQ, false, on_irq, NULL, &channel);
}

/* Without an interrupt. */
static void poll_port(struct session *s)
{
	unsigned long flags = wait_enter();

	(void)s;
	fetch();
	wait_leave(flags);
}

/* ---- output --------------------------------------------------------------------------------- */

static void put(struct session *s, const char *text, size_t len)
{
	(void)s;
	while (len) {
		size_t part = MIN(len, UART_FIFO_BYTES);

		uart_write(&com2, text, part);
		text += part;
		len -= part;
		thread_yield();
	}
}

static void put_now(struct session *s, const char *bytes, size_t len)
{
	(void)s;
	uart_write(&com2, bytes, len);
}

static const struct session_way serial = {.put = put, .put_now = put_now, .poll = poll_port};

static void ctl_thread(void *ctx)
{
	session_run(ctx); /* which does not end: nobody knows that an asker has gone */
}

/* Without its interrupt the port is looked at fifty times a second. */
void service_ctl_start(void)
{
	char *text;

	if (!boot.privileged || !uart_start(&com2))
		return;
	text = kmalloc(CTL_ANSWER_MAX);
	port.way = &serial;
	port.ring = ring;
	port.ring_bytes = RING_BYTES;
	port.answer.text = text;
	port.answer.cap = CTL_ANSWER_MAX;
	if (!text || !thread_create("ctl", ctl_thread, &port)) {
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

/* machine_line.c: who in this domain listens to which interrupt line (INTx): machine_line_bind of amphi/machine.h, and machine_line.h.
 *
 * Called by the drivers through machine.h, and by machine.c. A line is heard by all of our functions that are on it. Calls machine_input.h where
 * this domain owns the machine, and the hypervisor. Not here: messages (machine.c); natively nobody listens to lines.
 */
#include "machine_line.h"

#include <amphi/event.h>
#include <amphi/hypercall.h>
#include <amphi/machine.h>

#include "boot.h"
#include "machine_input.h"
#include "mm.h"
#include "worker.h"

#define NO_LINE 0xffu

struct listener {
	struct listener *next;
	uint16_t bdf;
	void (*fn)(void *ctx);
	void *ctx;
};

struct line {
	struct host_work work;
	struct line *next;
	uint32_t pirq;
	port_t port;
	bool wants_eoi;
	struct listener *listeners;
};

static struct line *lines;

bool machine_pirq_wants_eoi(uint32_t pirq)
{
	struct physdev_irq_status_query query = {.irq = pirq};

	return hypercall_physdev_op(PHYSDEVOP_irq_status_query, &query) == 0 &&
	       query.flags & XENIRQSTAT_needs_eoi;
}

/* Upcall. Nothing comes until the end is told, after the drivers have made their devices let go of the line. */
static void pulled(void *ctx)
{
	struct line *line = ctx;

	worker_post(&line->work);
}

static void run(void *ctx)
{
	struct line *line = ctx;
	struct physdev_eoi eoi = {.irq = line->pirq};

	for (struct listener *l = line->listeners; l; l = l->next)
		l->fn(l->ctx);
	if (line->wants_eoi)
		(void)hypercall_physdev_op(PHYSDEVOP_eoi, &eoi);
}

/* Who lends may listen as well, or let others: Linux's xen-pciback does both. What is the machine's own is shared with no domain. */
static struct line *line_new(uint32_t pirq, int *out_err)
{
	struct line *line = kmalloc(sizeof(*line));

	*out_err = line ? 0 : -XEN_ENOMEM;
	if (!line)
		return NULL;
	*line = (struct line){.work = {.fn = run, .ctx = line}, .pirq = pirq, .port = PORT_NONE};
	if (boot.privileged)
		*out_err = machine_input_map((uint8_t)pirq, DOMID_SELF);
	line->wants_eoi = machine_pirq_wants_eoi(pirq);
	if (!*out_err)
		*out_err = event_bind_pirq(pirq, !boot.privileged, pulled, line, &line->port);
	if (*out_err) {
		kfree(line, sizeof(*line));
		return NULL;
	}
	line->next = lines;
	lines = line;
	return line;
}

/* The pirq stays mapped: machine_input_map says why. */
static void line_end(struct line *line)
{
	struct line **link = &lines;

	while (*link != line)
		link = &(*link)->next;
	*link = line->next;
	event_close(line->port);
	host_work_cancel(&line->work);
	kfree(line, sizeof(*line));
}

/* Of a function that is lent the register has the pirq. 0: there is none. */
static uint32_t pirq_of(uint16_t bdf)
{
	uint32_t reg = machine_pci_read(bdf, REG_LINE, 2), line = reg & 0xff;

	if (boot.privileged)
		return machine_input_of(reg);
	return reg >> 8 && line != NO_LINE ? line : 0;
}

static int listen(struct listener *l)
{
	uint32_t pirq = pirq_of(l->bdf);
	struct line *line = lines;
	int err = 0;

	if (!pirq)
		return -XEN_ENODEV;
	while (line && line->pirq != pirq)
		line = line->next;
	if (!line)
		line = line_new(pirq, &err);
	if (!line)
		return err;
	l->next = line->listeners;
	line->listeners = l;
	return 0;
}

int machine_line_bind(uint16_t bdf, void (*fn)(void *ctx), void *ctx)
{
	struct listener *l;
	int err;

	if (boot.platform != BOOT_XEN_PV)
		return -XEN_EOPNOTSUPP;
	l = kmalloc(sizeof(*l));
	if (!l)
		return -XEN_ENOMEM;
	*l = (struct listener){.bdf = bdf, .fn = fn, .ctx = ctx};
	err = listen(l);
	if (err)
		kfree(l, sizeof(*l));
	return err;
}

static void forget(struct line *line, uint16_t bdf)
{
	struct listener **link = &line->listeners;

	while (*link) {
		struct listener *l = *link;

		if (l->bdf != bdf) {
			link = &l->next;
			continue;
		}
		*link = l->next;
		kfree(l, sizeof(*l));
	}
}

void machine_line_unbind(uint16_t bdf)
{
	struct line *next;

	for (struct line *line = lines; line; line = next) {
		next = line->next;
		forget(line, bdf);
		if (!line->listeners)
			line_end(line);
	}
}

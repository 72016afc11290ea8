/* pci_aer.c: PCI Express's advanced error reporting: a root port says which function had an error, the function says which.
 *
 *	function   status bit set, message to the port
 *	port       root status and source id set, interrupt
 *	here       both read and cleared, told; correctable ones are counted, and told of at each doubling
 *
 * Registers by PCI Express 4.0, section 7.8.4; which messages are sent by its section 6.2. A guest can make its function err as often as it likes: after
 * so many errors in a span the port is not listened to until the span ends. Called by pci_port.c; calls machine.h.
 */
#include "pci_port.h"

#include <amphi/machine.h>
#include <amphi/printf.h>

#define EXT_AER 0x0001u

enum {
	AER_BAD = 0x04, /* uncorrectable: status, mask, severity (a one is fatal) */
	AER_SEVERITY = 0x0c,
	AER_GOOD = 0x10, /* correctable: status, mask */
	AER_ROOT_COMMAND = 0x2c,
	AER_ROOT_STATUS = 0x30,
	AER_SOURCE = 0x34, /* correctable in the lower half, the other in the upper one */
};
#define AER_MASK_AFTER 4u /* behind each status */

#define ROOT_TELL_ALL 7u
#define ROOT_GOOD     0x01u
#define ROOT_GOOD_2   0x02u
#define ROOT_BAD      0x04u
#define ROOT_BAD_2    0x08u
#define ROOT_FATAL    0x40u
#define ROOT_EVENTS   0x7fu

#define EXPRESS_CONTROL 0x08u
#define TELL_ERRORS     0x0fu /* correctable, not fatal, fatal, requests that are not supported */
#define EXPRESS_STATUS  0x0au
#define ROOT_CONTROL    0x1cu
#define SYSTEM_ERRORS   0x07u

#define REG_COMMAND        0x04u
#define COMMAND_SERR       0x100u
#define CLASS_BRIDGE       0x06u
#define REG_BRIDGE_CONTROL 0x3eu
#define BRIDGE_SERR        0x02u

#define SPAN_NS     1000000000ull
#define SPAN_ERRORS 32u

static const char *const bad_names[32] = {
    [4] = "data link protocol",
    [5] = "surprise down",
    [12] = "poisoned data",
    [13] = "flow control",
    [14] = "no completion",
    [15] = "completer abort",
    [16] = "strange completion",
    [17] = "receiver overflow",
    [18] = "malformed packet",
    [19] = "ECRC",
    [20] = "unsupported request",
    [21] = "access control",
    [22] = "internal",
};
static const char *const good_names[32] = {
    [0] = "receiver",        [6] = "bad packet", [7] = "bad link packet", [8] = "many replays",
    [12] = "replay timeout", [13] = "not fatal", [14] = "internal",
};

/* Correctable errors of each function, by its place in the list. */
static uint32_t corrected[PCI_FUNCTIONS_MAX];

/* ---- words ---------------------------------------------------------------------------------- */

static const char *first_name(const char *const *names, uint32_t status)
{
	const char *name = status ? names[__builtin_ctz(status)] : NULL;

	return name ? name : "unknown";
}

static void tell(const struct pci_error *e)
{
	host_log(HOST_LOG_ERROR, "pci %02x:%02x.%x: %s error: %s (%x)", e->bdf >> 8,
		 e->bdf >> 3 & 31, e->bdf & 7, e->kind == PCI_ERROR_FATAL ? "fatal" : "uncorrected",
		 first_name(bad_names, e->status), e->status);
}

static void count(const struct pci_function *f, uint32_t status)
{
	uint32_t *times = &corrected[f - pci_get(0)];

	++*times;
	if ((*times & (*times - 1)) == 0)
		host_log(HOST_LOG_WARN, "pci %02x:%02x.%x: corrected error: %s (%x), %u so far",
			 f->bdf >> 8, f->bdf >> 3 & 31, f->bdf & 7, first_name(good_names, status),
			 status, *times);
}

/* ---- one function --------------------------------------------------------------------------- */

/* What it has of a kind, cleared. */
static uint32_t take_status(const struct pci_function *f, unsigned aer, unsigned at)
{
	uint32_t status = machine_pci_read(f->bdf, aer + at, 4);
	uint32_t mask = machine_pci_read(f->bdf, aer + at + AER_MASK_AFTER, 4);

	machine_pci_write(f->bdf, aer + at, 4, status);
	return status & ~mask;
}

/* What a bridge has itself is an error of the way to all behind it. */
struct behind {
	const struct pci_port_user *user;
	const struct pci_error *e;
};

static void tell_behind(const struct pci_function *f, void *ctx)
{
	const struct behind *b = ctx;
	struct pci_error each = {f->bdf, b->e->kind, b->e->status};

	if (f->class_code >> 16 != CLASS_BRIDGE)
		b->user->error(&each);
}

/* fatal: what the message said, where the function itself cannot be asked any more. sure: it is the one, whatever its registers say. */
static void take_bad(struct pci_port *port, const struct pci_function *f, bool fatal, bool sure)
{
	unsigned aer = pci_port_lost(f) ? 0 : pci_find_extended(f->bdf, EXT_AER);
	struct pci_error e = {.bdf = f->bdf};

	if (aer) {
		e.status = take_status(f, aer, AER_BAD);
		fatal =
		    e.status ? e.status & machine_pci_read(f->bdf, aer + AER_SEVERITY, 4) : fatal;
	}
	if (!e.status && !sure)
		return;
	e.kind = fatal ? PCI_ERROR_FATAL : PCI_ERROR_NONFATAL;
	tell(&e);
	if (f->class_code >> 16 == CLASS_BRIDGE)
		pci_port_each(f, tell_behind, &(struct behind){port->user, &e});
	else
		port->user->error(&e);
}

static void take_good(const struct pci_function *f, bool sure)
{
	unsigned aer = pci_port_lost(f) ? 0 : pci_find_extended(f->bdf, EXT_AER);
	uint32_t status = aer ? take_status(f, aer, AER_GOOD) : 0;

	if (status || sure)
		count(f, status);
}

/* ---- a message ------------------------------------------------------------------------------ */

static const struct pci_function *find(uint16_t bdf)
{
	const struct pci_function *f;

	for (unsigned n = 0; (f = pci_get(n)) != NULL; n++)
		if (f->bdf == bdf)
			return f;
	return NULL;
}

static void try_good(const struct pci_function *f, void *ctx)
{
	take_good(f, false);
}

static void try_bad(const struct pci_function *f, void *ctx)
{
	take_bad(ctx, f, false, false);
}

/* When there were several, the port remembers who was first: the others have it in their registers. */
static void take(struct pci_port *port, uint32_t status, uint32_t source)
{
	const struct pci_function *good = status & ROOT_GOOD ? find(source & 0xffff) : NULL;
	const struct pci_function *bad = status & ROOT_BAD ? find((uint16_t)(source >> 16)) : NULL;

	if (good)
		take_good(good, true);
	if (status & ROOT_GOOD_2 || (status & ROOT_GOOD && !good))
		pci_port_each(port->f, try_good, port);
	if (bad)
		take_bad(port, bad, status & ROOT_FATAL, true);
	if (status & ROOT_BAD_2 || (status & ROOT_BAD && !bad))
		pci_port_each(port->f, try_bad, port);
}

static void listen(struct pci_port *port, bool on)
{
	machine_pci_write(port->f->bdf, port->aer + AER_ROOT_COMMAND, 4, on ? ROOT_TELL_ALL : 0);
}

static void listen_again(void *ctx)
{
	struct pci_port *port = ctx;

	port->span_errors = 0;
	port->span_start_ns = host_time_ns();
	listen(port, true);
	pci_aer_look(port);
}

/* Whether one more may be looked at now. */
static bool may_go_on(struct pci_port *port)
{
	uint64_t now = host_time_ns();

	if (now - port->span_start_ns >= SPAN_NS) {
		port->span_start_ns = now;
		port->span_errors = 0;
	}
	if (port->span_errors++ < SPAN_ERRORS)
		return true;
	listen(port, false);
	if (!port->listen.queued)
		host_work_after(&port->listen, SPAN_NS);
	return false;
}

/* An interrupt comes when there was nothing before: so until there is nothing. Cleared before the functions are asked, or an
 * error that comes meanwhile would not be told. */
void pci_aer_look(struct pci_port *port)
{
	unsigned at = port->aer + AER_ROOT_STATUS;
	uint32_t status = 0;

	while (port->aer) {
		uint32_t source;

		status = machine_pci_read(port->f->bdf, at, 4);
		if (!(status & (ROOT_GOOD | ROOT_BAD)) || status == ~0u || !may_go_on(port))
			return;
		source = machine_pci_read(port->f->bdf, port->aer + AER_SOURCE, 4);
		machine_pci_write(port->f->bdf, at, 4, status & ROOT_EVENTS);
		take(port, status, source);
	}
}

/* ---- start ---------------------------------------------------------------------------------- */

/* What was there before we came is nobody's concern any more. The bit in the command register would not be needed (section 7.5.1.1.3), but for QEMU
 * 7.2, which wants both. */
static void report(const struct pci_function *f, void *ctx)
{
	unsigned express = pci_find_capability(f, PCI_CAP_EXPRESS, 0);
	unsigned aer = express ? pci_find_extended(f->bdf, EXT_AER) : 0;
	unsigned at = express + EXPRESS_CONTROL;

	if (!aer || f->physical != f->bdf)
		return;
	(void)take_status(f, aer, AER_BAD);
	(void)take_status(f, aer, AER_GOOD);
	machine_pci_write(f->bdf, express + EXPRESS_STATUS, 2, TELL_ERRORS);
	machine_pci_write(f->bdf, at, 2, machine_pci_read(f->bdf, at, 2) | TELL_ERRORS);
	machine_pci_write(f->bdf, REG_COMMAND, 2,
			  machine_pci_read(f->bdf, REG_COMMAND, 2) | COMMAND_SERR);
	if (f->class_code >> 16 == CLASS_BRIDGE)
		machine_pci_write(f->bdf, REG_BRIDGE_CONTROL, 2,
				  machine_pci_read(f->bdf, REG_BRIDGE_CONTROL, 2) | BRIDGE_SERR);
}

/* Errors are told by the port's message and not as errors of the whole system, which stop it. */
int pci_aer_start(struct pci_port *port)
{
	uint16_t bdf = port->f->bdf;
	unsigned root = port->express + ROOT_CONTROL;

	port->aer = pci_find_extended(bdf, EXT_AER);
	if (!port->aer)
		return -1;
	port->listen = (struct host_work){.fn = listen_again, .ctx = port};
	port->span_start_ns = host_time_ns();
	report(port->f, NULL);
	pci_port_each(port->f, report, NULL);
	machine_pci_write(bdf, root, 2, machine_pci_read(bdf, root, 2) & ~SYSTEM_ERRORS);
	machine_pci_write(bdf, port->aer + AER_ROOT_STATUS, 4, ROOT_EVENTS);
	listen(port, true);
	return (int)(machine_pci_read(bdf, port->aer + AER_ROOT_STATUS, 4) >> 27);
}

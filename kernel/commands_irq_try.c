/* commands_irq_try.c: the shell's command that has a device raise each of its interrupts, and counts which came.
 *
 * For what no driver of ours has: several plain messages (MSI) of one function, and its line. The device is a USB controller (xHCI), which no driver
 * here takes; its interrupters each have a ring of events, and say so whenever the driver tells them that it has read less than is there (xHCI
 * 1.2, 4.17.5). Nothing is asked of USB. Caller: shell.c. Calls pci.h, dma.h in the worker; it waits outside of it, since handlers run there.
 */
#include <amphi/dma.h>
#include <amphi/machine.h>
#include <amphi/pci.h>
#include <amphi/string.h>
#include <amphi/types.h>
#include <amphi/xen.h>

#include "commands.h"
#include "console.h"
#include "shell.h"
#include "thread.h"
#include "time.h"
#include "worker.h"

#define CLASS_XHCI   0x0c0330u
#define WINDOW_BYTES 0x4000u
#define MESSAGES_MAX 16u
#define ROUNDS       4u
#define WAIT_NS      (20 * NS_PER_S)
#define LOOK_NS      NS_PER_MS

/* Capability registers, then (CAP_LENGTH further) operational ones, then (CAP_RUNTIME from the start) one set for each interrupter. */
enum { CAP_LENGTH = 0x00, CAP_PARAMS = 0x04, CAP_RUNTIME = 0x18 };
enum { OP_COMMAND = 0x00, RUNTIME_FIRST = 0x20, RUNTIME_BYTES = 0x20 };
enum { IR_STATE = 0x00, IR_SEGMENTS = 0x08, IR_TABLE = 0x10, IR_READ = 0x18 };
#define COMMAND_RUN   1u
#define COMMAND_RESET 2u
#define COMMAND_INTS  4u
#define STATE_PENDING 1u /* written: taken back */
#define STATE_ENABLED 2u
#define READ_BUSY     8u
#define EVENT_BYTES   16u
#define RING_EVENTS   16u
#define TABLE_BYTES   64u /* of one interrupter, aligned so */

struct controller;

struct interrupter {
	struct controller *c;
	volatile uint32_t *regs;
	unsigned n_heard;
};

struct controller {
	const struct pci_function *f;
	char *regs;
	volatile uint32_t *command;
	struct dma_device dma;
	bool attached, line;
	void *rings;
	uint64_t *tables;
	dma_addr_t rings_at, tables_at;
	unsigned wanted, n;
	unsigned raised; /* the interrupter's number */
	struct interrupter of[MESSAGES_MAX];
};

static void heard(void *ctx)
{
	struct interrupter *in = ctx;

	/* A message takes the mark back; of a line, which others may pull, it is what says whose. */
	if (in->c->line && !(in->regs[IR_STATE / 4] & STATE_PENDING))
		return;
	in->n_heard++;
	in->regs[IR_STATE / 4] = STATE_PENDING | STATE_ENABLED;
}

static uint64_t ring_of(const struct controller *c, unsigned i)
{
	return c->rings_at.v + i * RING_EVENTS * EVENT_BYTES;
}

/* The upper half first: the lower one is what counts. */
static void write_address(volatile uint32_t *reg, uint64_t address)
{
	reg[1] = (uint32_t)(address >> 32);
	reg[0] = (uint32_t)address;
}

/* The table's one segment is read by the device when its address is written, the upper half last. */
static void prepare(struct controller *c, unsigned i)
{
	volatile uint32_t *regs = c->of[i].regs;
	uint64_t table = c->tables_at.v + i * TABLE_BYTES;
	uint64_t *segment = &c->tables[i * TABLE_BYTES / sizeof(uint64_t)];

	segment[0] = ring_of(c, i);
	segment[1] = RING_EVENTS;
	regs[IR_SEGMENTS / 4] = 1;
	write_address(&regs[IR_READ / 4], ring_of(c, i));
	regs[IR_TABLE / 4] = (uint32_t)table;
	regs[IR_TABLE / 4 + 1] = (uint32_t)(table >> 32);
	regs[IR_STATE / 4] = STATE_PENDING | STATE_ENABLED;
}

/* ---- begin and end -------------------------------------------------------------------------- */

static int map(struct controller *c)
{
	uint32_t runtime;
	maddr_t bar;

	if (!pci_bar(c->f, 0, &bar))
		return -XEN_ENODEV;
	c->regs = machine_mmio_map(bar, WINDOW_BYTES);
	if (!c->regs)
		return -XEN_ENOMEM;
	runtime = *(volatile uint32_t *)(c->regs + CAP_RUNTIME);
	c->command = (volatile uint32_t *)(c->regs + *(volatile uint8_t *)(c->regs + CAP_LENGTH) +
					   OP_COMMAND);
	if (runtime % 32 || runtime + RUNTIME_FIRST + MESSAGES_MAX * RUNTIME_BYTES > WINDOW_BYTES)
		return -XEN_EIO;
	c->n = MIN(*(volatile uint32_t *)(c->regs + CAP_PARAMS) >> 8 & 0x7ff, MESSAGES_MAX);
	for (unsigned i = 0; i < MESSAGES_MAX; i++)
		c->of[i] = (struct interrupter){.c = c,
						.regs = (volatile uint32_t *)(c->regs + runtime +
									      RUNTIME_FIRST +
									      i * RUNTIME_BYTES)};
	return 0;
}

static int share(struct controller *c)
{
	int err = dma_attach(&c->dma, true);

	c->attached = !err;
	if (err)
		return err;
	c->rings = dma_page_alloc(&c->dma, &c->rings_at);
	c->tables = dma_page_alloc(&c->dma, &c->tables_at);
	return c->rings && c->tables ? 0 : -XEN_ENOMEM;
}

/* A line is interrupter 0's. */
static int listen(struct controller *c)
{
	int err = c->line
		      ? pci_line_bind(c->f, heard, &c->of[0])
		      : pci_msis_bind(c->f, MIN(c->wanted, c->n), heard, c->of, sizeof(c->of[0]));

	if (err < 0)
		return err;
	c->n = c->line ? 1 : (unsigned)err;
	return 0;
}

/* In the worker. */
static int begin(void *ctx)
{
	struct controller *c = ctx;
	int err;

	pci_enable(c->f);
	err = map(c);
	if (err)
		return err;
	*c->command = COMMAND_RESET;
	while (*c->command & COMMAND_RESET)
		machine_delay_us(1);
	err = share(c);
	if (!err)
		err = listen(c);
	for (unsigned i = 0; i < c->n && !err; i++)
		prepare(c, i);
	if (!err)
		*c->command = COMMAND_RUN | COMMAND_INTS;
	return err;
}

/* In the worker, from any point of the above. */
static int finish(void *ctx)
{
	struct controller *c = ctx;

	if (c->regs)
		*c->command = 0;
	pci_disable(c->f);
	machine_msi_unbind(c->f->bdf);
	if (c->rings)
		dma_page_free(&c->dma, c->rings, c->rings_at);
	if (c->tables)
		dma_page_free(&c->dma, c->tables, c->tables_at);
	if (c->attached)
		dma_detach(&c->dma);
	machine_mmio_unmap(c->regs, WINDOW_BYTES);
	return 0;
}

/* ---- the trial ------------------------------------------------------------------------------ */

/* In the worker: there is an event more than was read, which is none. */
static int raise(void *ctx)
{
	struct controller *c = ctx;

	write_address(&c->of[c->raised].regs[IR_READ / 4],
		      (ring_of(c, c->raised) + EVENT_BYTES) | READ_BUSY);
	return 0;
}

static bool wait_heard(const struct interrupter *in, unsigned times)
{
	uint64_t until_ns = time_ns() + WAIT_NS;

	while (__atomic_load_n(&in->n_heard, __ATOMIC_RELAXED) < times && time_ns() < until_ns)
		thread_sleep_ns(LOOK_NS);
	return in->n_heard >= times;
}

/* One after another, so that one that comes as another's is seen. */
static int try_each(struct controller *c)
{
	for (unsigned round = 1; round <= ROUNDS; round++)
		for (c->raised = 0; c->raised < c->n; c->raised++) {
			(void)worker_call(raise, c);
			if (!wait_heard(&c->of[c->raised], round))
				return -XEN_ETIMEDOUT;
		}
	return 0;
}

static void tell(const struct controller *c)
{
	console_printf("@irq-try %02x:%02x.%x %s %u:", c->f->bdf >> 8, c->f->bdf >> 3 & 31,
		       c->f->bdf & 7, c->line ? "line" : "messages", c->n);
	for (unsigned i = 0; i < c->n; i++)
		console_printf(" %u", c->of[i].n_heard);
	console_printf("\n");
}

static const struct pci_function *find(uint16_t bdf)
{
	const struct pci_function *f;

	for (unsigned n = 0; (f = pci_get(n)) != NULL; n++)
		if (f->bdf == bdf && f->class_code == CLASS_XHCI)
			return f;
	return NULL;
}

static int irq_try(int argc, char **argv)
{
	static struct controller c;
	uint64_t wanted = 0;
	uint16_t bdf;
	int err;

	if (argc != 3 || !commands_bdf(argv[1], &bdf) ||
	    (strcmp(argv[2], "line") && (!str_to_u64(argv[2], &wanted) || !wanted)))
		return -XEN_EINVAL;
	c = (struct controller){.f = find(bdf),
				.dma = {.bdf = bdf, .mask = ~0ull},
				.wanted = (unsigned)MIN(wanted, MESSAGES_MAX),
				.line = !wanted};
	if (!c.f)
		return -XEN_ENODEV;
	err = worker_call(begin, &c);
	if (!err)
		err = try_each(&c);
	(void)worker_call(finish, &c);
	tell(&c);
	return err;
}

void commands_irq_try_add(void)
{
	static const struct shell_command table[] = {
	    {"irq-try", "BUS:DEV.FN MESSAGES|line",
	     "has a USB controller (xHCI) raise each of its interrupts, and counts them", irq_try},
	};

	shell_add(table, ARRAY_SIZE(table));
}

/* pv_interrupts.c: the first domain's devices send interrupts that are mapped for them, and one that is not.
 *
 * Two of QEMU's `edu` have a message each. Expected: each is heard from its own device; the message of one sent by the other is not, where the IOMMU looks
 * at messages, and is where it was told not to ("plain" in the command line); a line of the board is heard, and again after its end was told, which on
 * its way through a unit may become an edge. Why: a device that chooses its vector chooses what other drivers believe. Runs on amphi-hv only.
 */
#include "pv.h"
#include "pv_edu.h"

#define SOON_NS    200000000ull
#define LINE_FIRST 16u
#define LINES      8u

struct sender {
	struct edu edu;
	uint32_t cap, port, address, data;
};
static struct sender one, other;
static uint32_t line_port[LINES];

static void config_write(const struct sender *s, uint32_t offset, uint32_t value)
{
	(void)edu_config(s->edu.bdf, offset);
	__asm__ volatile("outl %0, %w1" ::"a"(value), "d"(0xcfc));
}

static volatile uint32_t *reg(const struct sender *s, unsigned offset)
{
	return (volatile uint32_t *)(s->edu.bar + offset);
}

static volatile uint64_t *pending(uint32_t port)
{
	struct shared_info *shared = (struct shared_info *)edu_shared_page;

	return (volatile uint64_t *)&shared->evtchn_pending[port / 64];
}

static int is_pending(uint32_t port)
{
	return *pending(port) >> port % 64 & 1;
}

static void clear(uint32_t port)
{
	__atomic_and_fetch(pending(port), ~(1ull << port % 64), __ATOMIC_SEQ_CST);
}

/* The port for a pirq; 0: none. */
static uint32_t bind(int pirq)
{
	struct evtchn_bind_pirq b = {.pirq = (uint32_t)pirq};

	return hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_pirq, (uint64_t)&b, 0, 0)
		   ? 0
		   : b.port;
}

/* ---- messages ----------------------------------------------------------------------------- */

/* An interrupt for the function, and the message that it was told to send. */
static int listen(struct sender *s, uint32_t from)
{
	struct physdev_map_pirq m = {
	    .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_MSI, .index = -1, .pirq = -1};

	if (!edu_find(&s->edu, from))
		return 0;
	m.devfn = (int)s->edu.bdf;
	s->cap = edu_config(s->edu.bdf, 0x34) & 0xfc;
	while (s->cap && (edu_config(s->edu.bdf, s->cap) & 0xff) != 5)
		s->cap = edu_config(s->edu.bdf, s->cap) >> 8 & 0xfc;
	if (!s->cap || hypercall(__HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, (uint64_t)&m, 0, 0))
		return 0;
	s->port = bind(m.pirq);
	s->address = edu_config(s->edu.bdf, s->cap + 4);
	s->data = edu_config(s->edu.bdf, s->cap + 12);
	return s->port != 0;
}

/* Whether `whose` message, sent by the device, is heard as theirs. */
static int heard(const struct sender *from, const struct sender *whose)
{
	uint64_t until_ns = edu_now() + SOON_NS;

	config_write(from, from->cap + 4, whose->address);
	config_write(from, from->cap + 12, whose->data);
	clear(whose->port);
	*reg(from, 0x60) = 1;
	while (!is_pending(whose->port) && edu_now() < until_ns)
		hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0);
	*reg(from, 0x64) = 1;
	return is_pending(whose->port);
}

/* ---- lines -------------------------------------------------------------------------------- */

/* Without messages the device pulls a line, until it is told that it was heard; which one, only ACPI's byte code says: all of PCI's are bound. */
static int bind_lines(const struct sender *s)
{
	int ok = 1;

	config_write(s, s->cap, edu_config(s->edu.bdf, s->cap) & ~(1u << 16));
	for (unsigned i = 0; i < LINES; i++) {
		struct physdev_map_pirq m = {.domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI};

		m.index = m.pirq = (int)(LINE_FIRST + i);
		ok &=
		    hypercall(__HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, (uint64_t)&m, 0, 0) == 0;
		line_port[i] = bind(m.pirq);
		ok &= line_port[i] != 0;
	}
	return ok;
}

/* The line on which it was heard, and whose end is told; LINES: on none. */
static unsigned pull(const struct sender *s)
{
	uint64_t until_ns = edu_now() + SOON_NS;
	struct physdev_eoi eoi;
	unsigned line = LINES;

	*reg(s, 0x60) = 1;
	while (line == LINES && edu_now() < until_ns)
		for (line = 0; line < LINES && !is_pending(line_port[line]); line++)
			;
	*reg(s, 0x64) = 1;
	if (line == LINES)
		return LINES;
	clear(line_port[line]);
	eoi.irq = LINE_FIRST + line;
	hypercall(__HYPERVISOR_physdev_op, PHYSDEVOP_eoi, (uint64_t)&eoi, 0, 0);
	return line;
}

void guest_main(struct start_info *si)
{
	int remapped = si->cmd_line[0] != 'p';
	unsigned line;

	check("an interrupt of a device", edu_begin(si) && listen(&one, 0));
	check("one of another", listen(&other, one.edu.bdf + 1));
	check("its own is heard", heard(&one, &one));
	check("the other's is heard only when nobody looks", heard(&one, &other) != remapped);
	check("its own is heard again", heard(&one, &one));
	check("the board's lines are bound", bind_lines(&one));
	line = pull(&one);
	check("a line is heard", line < LINES);
	check("again, after its end", pull(&one) == line && pull(&one) == line);
	print("pv_interrupts: done\n");
	end(SHUTDOWN_poweroff);
}

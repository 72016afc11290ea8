/* ahci_recover.c: an AHCI port's part of being watched, reset and given up.
 *
 * The table that disk_watch.c calls through. A reset is one of the port's link (COMRESET), which ends every command; what
 * was in flight goes again, one at a time (ahci.c). Called by disk_watch.c.
 */
#include "ahci.h"

#include <amphi/host_block.h>

#define RESET_POLLS 1000u /* ten seconds: a disk may have to spin up */
#define NOBODY      0xffffffffu

static struct ahci_port *port_of(struct disk_watch *w)
{
	return container_of(w, struct ahci_port, watch);
}

/* What waits for its turn at a running port is not late; after a reset it goes with the others. */
static bool command(struct disk_watch *w, unsigned slot, struct disk_command *out)
{
	struct ahci_port *p = port_of(w);
	struct ahci_slot *s = &p->slots[slot];

	if (!((p->holds ? p->used : p->issued) >> slot & 1))
		return false;
	*out = (struct disk_command){&s->age, &p->disk, s->req};
	return true;
}

static int health(struct disk_watch *w)
{
	uint32_t status = ahci_read(port_of(w), PORT_SSTS);

	return status == NOBODY || SSTS_DETECT(status) != SSTS_PRESENT ? -XEN_ENODEV : 0;
}

static void reap(struct disk_watch *w)
{
	ahci_go_on(port_of(w));
}

static void stop(struct disk_watch *w)
{
	struct ahci_port *p = port_of(w);

	p->holds = true;
	(void)ahci_stop(p);
	ahci_comreset(p);
}

static int reset(struct disk_watch *w)
{
	struct ahci_port *p = port_of(w);

	if (ahci_read(p, PORT_SSTS) == NOBODY)
		return -XEN_ENODEV;
	if (!ahci_is_ready(p))
		return -XEN_EAGAIN;
	ahci_start(p);
	p->issued = p->untold = 0;
	return 0;
}

static void again(struct disk_watch *w, unsigned slot)
{
	port_of(w)->again |= 1u << slot;
}

static void fail(struct disk_watch *w, unsigned slot)
{
	ahci_slot_end(port_of(w), slot, -XEN_EIO);
}

static void resume(struct disk_watch *w)
{
	port_of(w)->holds = false;
	ahci_go_on(port_of(w));
}

/* The engine is off first, so that nothing of the port reaches memory that has gone back to its owner. */
static void detach(struct disk_watch *w)
{
	struct ahci_port *p = port_of(w);

	ahci_write(p, PORT_IE, 0);
	(void)ahci_stop(p);
	p->disk.ops = &disk_gone_ops;
	p->holds = true;
}

static void gone(struct disk_watch *w)
{
	struct ahci_port *p = port_of(w);

	disk_waiting_fail(&p->waiting);
	host_block_unregister(&p->disk);
}

void ahci_watch_init(struct ahci_port *p)
{
	static const struct disk_watch_ops ops = {.command = command,
						  .health = health,
						  .reap = reap,
						  .stop = stop,
						  .reset = reset,
						  .again = again,
						  .fail = fail,
						  .resume = resume,
						  .detach = detach,
						  .gone = gone};

	p->watch.ops = &ops;
	p->watch.reset_polls = RESET_POLLS;
	p->watch.n_commands = AHCI_SLOTS;
	disk_watch_init(&p->watch);
}

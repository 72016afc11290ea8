/* ahci_recover.c: an AHCI port's part of being watched, reset and given up.
 *
 * The table that disk_watch.c calls through. A reset is one of the port's link (COMRESET), which ends every command; what
 * was in flight goes again, one at a time (ahci.c). Called by disk_watch.c.
 */
#include "ahci.h"

#include <amphi/host_block.h>

#include "disk_error.h"

#define RESET_POLLS 1000u /* ten seconds: a disk may have to spin up */
#define NOBODY      0xffffffffu

static struct ahci_port *port_of(struct disk_watch *w)
{
	return container_of(w, struct ahci_port, watch);
}

/* What waits for its turn is not looked at: only what the device has can be late. */
static unsigned look(struct disk_watch *w)
{
	struct ahci_port *p = port_of(w);
	unsigned oldest = 0;

	for (uint32_t left = p->issued; left; left &= left - 1)
		oldest = disk_age_look(&p->slots[__builtin_ctz(left)].age, oldest);
	return oldest;
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
	return 0;
}

static void resend(struct disk_watch *w)
{
	struct ahci_port *p = port_of(w);

	p->issued = p->untold = 0;
	for (uint32_t left = p->used; left; left &= left - 1) {
		unsigned slot = (unsigned)__builtin_ctz(left);
		struct disk_age *age = &p->slots[slot].age;
		bool lost = disk_age_is_lost(age);

		age->looks = 0;
		p->again |= 1u << slot;
		if (!lost)
			continue;
		disk_error(&p->disk, p->slots[slot].req, "no answer, tries", age->tries);
		ahci_slot_end(p, slot, -XEN_EIO);
	}
	p->holds = false;
	ahci_go_on(p);
}

/* The engine is off first, so that nothing of the port reaches memory that has gone back to its owner. */
static void end(struct disk_watch *w)
{
	struct ahci_port *p = port_of(w);
	struct block_request *req;

	ahci_write(p, PORT_IE, 0);
	(void)ahci_stop(p);
	p->disk.ops = &disk_gone_ops;
	for (uint32_t left = p->used; left; left &= left - 1)
		ahci_slot_end(p, (unsigned)__builtin_ctz(left), -XEN_EIO);
	while ((req = p->waiting)) {
		p->waiting = req->next;
		req->done(req, -XEN_EIO);
	}
	p->waiting_tail = &p->waiting;
	host_block_unregister(&p->disk);
}

void ahci_watch_init(struct ahci_port *p)
{
	static const struct disk_watch_ops ops = {.look = look,
						  .health = health,
						  .reap = reap,
						  .stop = stop,
						  .reset = reset,
						  .resend = resend,
						  .end = end};

	p->watch.ops = &ops;
	p->watch.reset_polls = RESET_POLLS;
	disk_watch_init(&p->watch);
}

/* e1000e_recover.c: the table through which an 82574 is driven, watched and reset.
 *
 * Interrupts: one vector for frames both ways, which the card masks when it has sent it (EIAC) and arm() unmasks; one for the
 * link. After a reset the card is started as at first (e1000e_start): what it was sending is dropped, the buffers it had are
 * given to it again. Called by nic.c and nic_watch.c.
 */
#include "e1000e.h"

#include <amphi/string.h>

#define NOBODY 0xffffffffu

static bool take(struct nic_queue *queue)
{
	struct e1000e *e = e1000e_of(queue->nic);

	e1000e_reap(e);
	return e1000e_receive(e);
}

static bool arm(struct nic_queue *queue)
{
	struct e1000e *e = e1000e_of(queue->nic);

	e1000e_write(e, E1K_IMS, E1K_CAUSE_RXQ0 | E1K_CAUSE_TXQ0);
	return e1000e_has_received(e) || e1000e_has_sent(e);
}

/* Reading STATUS is reading the link; an interrupt for it that was lost costs a second. */
static int look(struct nic *nic)
{
	struct e1000e *e = e1000e_of(nic);

	if (e1000e_read(e, E1K_STATUS) == NOBODY)
		return -XEN_ENODEV;
	if (!(e1000e_read(e, E1K_RCTL) & E1K_RCTL_EN))
		return -XEN_EIO; /* somebody, or something, has reset it */
	e1000e_read_link(e);
	return 0;
}

/* OTHER is not masked by EIAC, so it is acknowledged by reading what it is about. */
void e1000e_other_interrupt(void *ctx)
{
	struct e1000e *e = ctx;

	if (e->nic.phase != NIC_RUNNING)
		return;
	(void)e1000e_read(e, E1K_ICR);
	e1000e_read_link(e);
	e1000e_write(e, E1K_IMS, E1K_CAUSE_LSC | E1K_CAUSE_OTHER);
}

/* No new transfers before the reset, or one under way could come after it (datasheet 3.1.3.10). */
static void stop(struct nic *nic)
{
	struct e1000e *e = e1000e_of(nic);

	e1000e_write(e, E1K_IMC, ~0u);
	e1000e_write(e, E1K_RCTL, 0);
	e1000e_write(e, E1K_TCTL, E1K_TCTL_PSP);
	e1000e_write(e, E1K_CTRL, e1000e_read(e, E1K_CTRL) | E1K_CTRL_MASTER_OFF);
	e1000e_write(e, E1K_CTRL, e1000e_read(e, E1K_CTRL) | E1K_CTRL_RST);
}

static int is_stopped(struct nic *nic)
{
	uint32_t ctrl = e1000e_read(e1000e_of(nic), E1K_CTRL);

	if (ctrl == NOBODY)
		return -XEN_ENODEV;
	return ctrl & E1K_CTRL_RST ? -XEN_EAGAIN : 0;
}

static void forget(struct nic *nic)
{
	struct e1000e *e = e1000e_of(nic);

	e1000e_forget_sent(e);
	e1000e_forget_posted(e);
}

const struct nic_ops e1000e_ops = {.put = e1000e_put,
				   .tell = e1000e_tell,
				   .refill = e1000e_refill,
				   .take = take,
				   .arm = arm,
				   .filter = e1000e_filter,
				   .look = look,
				   .stop = stop,
				   .is_stopped = is_stopped,
				   .forget = forget,
				   .free = e1000e_free,
				   .start = e1000e_start};

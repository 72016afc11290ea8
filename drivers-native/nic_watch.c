/* nic_watch.c: looks after network cards: resets those that fail, and tells when one is gone.
 *
 * Contract: nic.h. A look a second sees what no interrupt tells: a card that was pulled out, one whose frames do not
 * come back, an interrupt that was lost. A reset drops what the card had, as nobody knows what of it was sent, and keeps
 * what waited. A card that needs resets again and again gets them at longer and longer intervals, without end:
 * its guests have no other way out. Called by the drivers and the worker's timer.
 *
 *              look(): an error; frames stuck         is_stopped(), forget(), start()
 *     RUNNING ----------------------------> RESETTING --------------------------------> RUNNING
 *        |                                   |    ^ | too long, or start() fails: later once more
 *        '---- not there any more --> GONE <-'    '-'
 */
#include "nic.h"

#include <amphi/machine.h>

#define RESET_POLLS 500u
#define WAIT_MAX    12u /* doublings of NIC_POLL_NS between two resets: 41 s */
#define QUIET_LOOKS 60u /* after which an earlier reset counts no more */
#define LOOK_US     1000u
#define STOP_LOOKS  100u

static struct nic *all;

/* Bus mastering goes off first: a card that cannot be reset must not reach memory that has gone back to its owner. */
static void gone(struct nic *nic, const char *why)
{
	host_log(HOST_LOG_ERROR, "%s: %s: the interface is gone", nic->dev.name, why);
	nic->phase = NIC_GONE;
	pci_disable(nic->pci);
	nic->dev.carrier = false;
	nic->ops->forget(nic);
	for (unsigned i = 0; i < nic->n_queues; i++) {
		host_work_cancel(&nic->queues[i]->again);
		nic_drop_waiting(nic->queues[i]);
	}
	host_net_unregister(&nic->dev);
}

static void begin_reset(struct nic *nic)
{
	nic->phase = NIC_RESETTING;
	nic->polls_left = RESET_POLLS;
	nic->quiet_looks = 0;
	nic->untold = 0;
	nic->ops->stop(nic);
	host_work_cancel(&nic->work);
	host_work_after(&nic->work, NIC_POLL_NS << MIN(nic->recent_resets, WAIT_MAX));
	nic->recent_resets++;
}

void nic_reset(struct nic *nic, const char *why)
{
	if (nic->phase != NIC_RUNNING)
		return;
	nic->resets++;
	host_log(HOST_LOG_WARN, "%s: %s: reset %u", nic->dev.name, why, nic->resets);
	begin_reset(nic);
}

/* A look counts when nothing has come back since the one before; it takes what there is first, so that an interrupt that
 * was lost costs a second. Looks are counted and not time, and each waits for a moment: where clocks leap (a processor that
 * is simulated) a card is not late because the clock says so. */
static bool is_stuck(struct nic_queue *queue)
{
	if (!queue->in_flight || queue->returned != queue->returned_seen) {
		queue->returned_seen = queue->returned;
		queue->looks = 0;
		return false;
	}
	machine_delay_us(LOOK_US);
	nic_poll(queue);
	return ++queue->looks >= queue->nic->stuck_looks;
}

static void running(struct nic *nic)
{
	int err = nic->ops->look(nic);
	bool stuck = false;

	if (err == -XEN_ENODEV) {
		gone(nic, "does not answer any more");
		return;
	}
	for (unsigned i = 0; i < nic->n_queues && !err; i++)
		stuck |= is_stuck(nic->queues[i]);
	if (nic->phase != NIC_RUNNING)
		return;
	if (err || stuck) {
		nic_reset(nic, err ? "the card has failed" : "frames do not come back");
		return;
	}
	if (++nic->quiet_looks >= QUIET_LOOKS) {
		nic->quiet_looks = 0;
		nic->recent_resets = 0;
	}
	host_work_after(&nic->work, NIC_LOOK_NS);
}

static void back(struct nic *nic)
{
	nic->phase = NIC_RUNNING;
	for (unsigned i = 0; i < nic->n_queues; i++) {
		nic->queues[i]->looks = 0;
		nic_pump(nic->queues[i]);
		nic_poll(nic->queues[i]);
	}
	(void)nic->ops->look(nic);
	host_work_after(&nic->work, NIC_LOOK_NS);
}

static void resetting(struct nic *nic)
{
	int err = nic->ops->is_stopped(nic);

	if (err == -XEN_EAGAIN && nic->polls_left--) {
		host_work_after(&nic->work, NIC_POLL_NS);
		return;
	}
	if (err == -XEN_ENODEV) {
		gone(nic, "does not come back from a reset");
		return;
	}
	if (!err) {
		nic->ops->forget(nic);
		err = nic->ops->start(nic);
	}
	if (!err) {
		back(nic);
		return;
	}
	nic_carrier(nic, false);
	begin_reset(nic);
}

struct nic *nic_find(uint16_t bdf)
{
	struct nic *nic = all;

	while (nic && nic->pci->bdf != bdf)
		nic = nic->next;
	return nic;
}

void nic_error(uint16_t bdf, enum drivers_error what)
{
	struct nic *nic = nic_find(bdf);

	if (!nic || nic->phase == NIC_GONE)
		return;
	host_work_cancel(&nic->work);
	if (what == DRIVERS_ERROR_GONE) {
		gone(nic, "was pulled out");
		return;
	}
	if (nic->phase == NIC_RUNNING) {
		nic->resets++;
		host_log(HOST_LOG_WARN, "%s: an error of its PCI function: reset %u", nic->dev.name,
			 nic->resets);
	}
	nic->recent_resets = 0; /* it is not the card's habit that is to be seen here */
	begin_reset(nic);
	if (what == DRIVERS_ERROR_OVER)
		return;
	host_work_cancel(&nic->work);
	host_work_after(&nic->work, DRIVERS_ERROR_WAIT_NS);
}

static void nothing(struct nic *nic) {}

static void on_time(void *ctx)
{
	static void (*const in_phase[])(struct nic * nic) = {
	    [NIC_RUNNING] = running, [NIC_RESETTING] = resetting, [NIC_GONE] = nothing};
	struct nic *nic = ctx;

	in_phase[nic->phase](nic);
}

/* A card that cannot be seen to have stopped, or held off, keeps what it was told of. */
static void free_all(struct nic *nic)
{
	int err = -XEN_EAGAIN;

	for (unsigned n = 0; n < STOP_LOOKS && err == -XEN_EAGAIN; n++) {
		err = nic->ops->is_stopped(nic);
		if (err == -XEN_EAGAIN)
			machine_delay_us(LOOK_US);
	}
	if (err || !nic->ops->free || dma_detach(&nic->dma))
		return;
	/* Every page that is freed here is unmapped by that. */
	nic_buffers_end(nic);
	nic->ops->free(nic);
}

/* It is still there, so it is told to stop before its memory is taken away. */
void nic_remove(uint16_t bdf)
{
	struct nic **link = &all;

	while (*link && (*link)->pci->bdf != bdf)
		link = &(*link)->next;
	if (*link) {
		struct nic *nic = *link;

		*link = nic->next;
		host_work_cancel(&nic->work);
		if (nic->phase == NIC_GONE)
			return;
		nic->ops->stop(nic);
		gone(nic, "is taken away");
		free_all(nic);
	}
}

void nic_watch(struct nic *nic)
{
	nic->next = all;
	all = nic;
	nic->work = (struct host_work){.fn = on_time, .ctx = nic};
	host_work_after(&nic->work, NIC_LOOK_NS);
}

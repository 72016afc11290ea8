/* disk_watch.c: watches devices, resets those that fail, and gives up those that do not come back.
 *
 * Contract: disk_watch.h. Called by the drivers (disk_watch) and the worker's timer; calls back through the driver's
 * table.
 *
 *              300 looks in vain, or failed        reset() is 0: send_again()
 *     RUNNING -------------------------> RESETTING -------------------------> RUNNING
 *        |                                   | too long, an error
 *        '-- not there any more --> GONE <---'
 *
 * A look is also what a request waits for that found no room for its maps while nothing was in flight.
 */
#include "disk_watch.h"

#include <amphi/machine.h>

#include "disk_error.h"

#define LOOK_US   500u
#define LOOK_LATE 10u /* looks after which it is worth waiting */

static struct disk_watch *all;

static void refuse(struct block_device *disk, struct block_request *req)
{
	disk->stats.requests++;
	req->done(req, -XEN_EIO);
}

static void refuse_kick(struct block_device *disk) {}

const struct block_ops disk_gone_ops = {.submit = refuse, .kick = refuse_kick};

/* ---- what is in flight, and what waits ------------------------------------------------------- */

/* Counts a look at every command; the oldest's, 0: there is none. */
static unsigned look(struct disk_watch *w)
{
	struct disk_command c;
	unsigned oldest = 0;

	for (unsigned n = 0; n < w->n_commands; n++)
		if (w->ops->command(w, n, &c)) {
			c.age->looks++;
			oldest = MAX(oldest, (unsigned)c.age->looks);
		}
	return oldest;
}

void disk_watch_blame(struct disk_watch *w)
{
	struct disk_command c;

	for (unsigned n = 0; n < w->n_commands; n++)
		if (w->ops->command(w, n, &c))
			c.age->looks = DISK_LOOKS_MAX;
}

static bool is_lost(struct disk_age *age)
{
	return age->looks >= DISK_LOOKS_MAX && age->tries++ == DISK_TRIES_MAX;
}

/* The requests' memory is still theirs. */
static void send_again(struct disk_watch *w)
{
	struct disk_command c;

	for (unsigned n = 0; n < w->n_commands; n++) {
		if (!w->ops->command(w, n, &c))
			continue;
		if (is_lost(c.age)) {
			disk_error(c.disk, c.req, "no answer, tries", c.age->tries);
			w->ops->fail(w, n);
		} else {
			c.age->looks = 0;
			w->ops->again(w, n);
		}
	}
	w->ops->resume(w);
}

static void fail_all(struct disk_watch *w)
{
	struct disk_command c;

	for (unsigned n = 0; n < w->n_commands; n++)
		if (w->ops->command(w, n, &c))
			w->ops->fail(w, n);
}

void disk_waiting_fail(struct disk_waiting *list)
{
	while (list->first) {
		struct block_request *req = list->first;

		disk_waiting_drop(list);
		req->done(req, -XEN_EIO);
	}
}

/* ---- phases ---------------------------------------------------------------------------------- */

void disk_watch_gone(struct disk_watch *w, const char *why)
{
	host_log(HOST_LOG_ERROR, "%s: %s: its disks are gone", w->name, why);
	w->phase = DISK_GONE;
	w->ops->detach(w);
	fail_all(w);
	w->ops->gone(w);
}

void disk_watch_reset(struct disk_watch *w, const char *why)
{
	w->resets++;
	host_log(HOST_LOG_WARN, "%s: %s: reset %u", w->name, why, w->resets);
	w->phase = DISK_RESETTING;
	w->polls_left = w->reset_polls;
	w->ops->stop(w);
	host_work_cancel(&w->work); /* the next look, which may be further away */
	host_work_after(&w->work, DISK_POLL_NS);
}

static bool has_any(struct disk_watch *w)
{
	struct disk_command c;
	unsigned n = 0;

	while (n < w->n_commands && !w->ops->command(w, n, &c))
		n++;
	return n < w->n_commands;
}

bool disk_watch_room(struct disk_watch *w)
{
	if (w->room_looks >= DISK_ROOM_LOOKS_MAX && !has_any(w))
		return false;
	w->wants_room = true;
	disk_watch(w);
	return true;
}

/* Who finds none again says so again. */
static void try_room(struct disk_watch *w)
{
	if (!w->wants_room)
		return;
	w->wants_room = false;
	w->room_looks++;
	w->ops->reap(w);
}

/* Answers are taken here too: an interrupt that was lost costs a moment and not the request. */
static void running(struct disk_watch *w)
{
	unsigned oldest;
	int health;

	try_room(w);
	oldest = look(w);
	if (!oldest)
		return;
	w->room_looks = 0;
	health = w->ops->health(w);
	if (health == -XEN_ENODEV) {
		disk_watch_gone(w, "does not answer any more");
		return;
	}
	if (oldest > LOOK_LATE && !health) {
		machine_delay_us(LOOK_US);
		w->ops->reap(w);
	}
	if (health)
		disk_watch_reset(w, "the device has failed");
	else if (oldest >= DISK_LOOKS_MAX)
		disk_watch_reset(w, "no answer");
	else
		disk_watch(w);
}

/* A reset begins anew when it is under way: what it has done may have been lost. While the error lasts its first look at the
 * device is far away. */
static void on_error(struct disk_watch *w, enum drivers_error what)
{
	if (w->phase == DISK_GONE)
		return;
	host_work_cancel(&w->work);
	if (what == DRIVERS_ERROR_GONE) {
		disk_watch_gone(w, "was pulled out");
		return;
	}
	if (w->phase == DISK_RUNNING) {
		disk_watch_reset(w, "an error of its PCI function");
		host_work_cancel(&w->work);
	} else {
		w->polls_left = w->reset_polls;
		w->ops->stop(w);
	}
	host_work_after(&w->work,
			what == DRIVERS_ERROR_FOUND ? DRIVERS_ERROR_WAIT_NS : DISK_POLL_NS);
}

void disk_watch_error(uint16_t bdf, enum drivers_error what)
{
	for (struct disk_watch *w = all; w; w = w->next)
		if (w->bdf == bdf)
			on_error(w, what);
}

/* All that waited is sent, done() of what has failed is called: so the phase comes first. */
static void resetting(struct disk_watch *w)
{
	int err = w->ops->reset(w);

	if (err == -XEN_EAGAIN && w->polls_left--) {
		host_work_after(&w->work, DISK_POLL_NS);
		return;
	}
	if (err) {
		disk_watch_gone(w, "does not come back from a reset");
		return;
	}
	w->phase = DISK_RUNNING;
	send_again(w);
	disk_watch(w);
}

static void gone(struct disk_watch *w) {}

static void on_time(void *ctx)
{
	static void (*const in_phase[])(struct disk_watch * w) = {
	    [DISK_RUNNING] = running, [DISK_RESETTING] = resetting, [DISK_GONE] = gone};
	struct disk_watch *w = ctx;

	in_phase[w->phase](w);
}

void disk_watch_init(struct disk_watch *w)
{
	w->work = (struct host_work){.fn = on_time, .ctx = w};
}

void disk_watch_started(struct disk_watch *w, uint16_t bdf)
{
	w->bdf = bdf;
	w->next = all;
	all = w;
}

struct disk_watch *disk_watch_find(uint16_t bdf, const struct disk_watch_ops *ops)
{
	struct disk_watch *w = all;

	while (w && (w->bdf != bdf || w->ops != ops || w->phase != DISK_RUNNING))
		w = w->next;
	return w;
}

/* It is still there, so it is told to stop before its memory is taken away. */
static void take_away(struct disk_watch *w)
{
	host_work_cancel(&w->work);
	if (w->phase != DISK_GONE) {
		w->ops->stop(w);
		disk_watch_gone(w, "is taken away");
	}
	if (w->ops->free)
		w->ops->free(w);
}

void disk_watch_remove(uint16_t bdf)
{
	struct disk_watch **link = &all;

	while (*link) {
		struct disk_watch *w = *link;

		if (w->bdf != bdf) {
			link = &w->next;
			continue;
		}
		*link = w->next;
		take_away(w);
	}
}

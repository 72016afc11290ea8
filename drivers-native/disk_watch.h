/* disk_watch.h: what becomes of a disk whose device does not answer.
 *
 * Callers: the drivers of drivers-native, each with its table of what only it knows. While a device has anything in
 * flight it is looked at ten times a second; what was looked at 300 times in vain gets its device reset, after which
 * everything in flight is sent again. A command that is lost so a third time fails, and everything does when the
 * device does not come back or was pulled out: then its disks are gone. Worker context.
 */
#ifndef DRIVERS_NATIVE_DISK_WATCH_H
#define DRIVERS_NATIVE_DISK_WATCH_H

#include <amphi/block.h>
#include <amphi/host.h>

/* Thirty seconds. It is looks that are counted and not time, and each look at something old waits for a moment: where
 * clocks leap (a processor that is simulated, a machine that slept) a command is not late because the clock says so. */
#define DISK_LOOKS_MAX 300u
#define DISK_TRIES_MAX 2u
#define DISK_LOOK_NS   100000000ull
#define DISK_POLL_NS   10000000ull

/* Of a command in flight; zeros when it is sent. */
struct disk_age {
	uint16_t looks; /* how often the watch has seen it */
	uint16_t tries; /* how often it was sent again because no answer came */
};

struct disk_watch;

struct disk_watch_ops {
	/* Counts a look at every command in flight (disk_age_look); returns the oldest's, 0: there is none. */
	unsigned (*look)(struct disk_watch *w);
	/* 0; -XEN_EIO: it has failed and wants a reset; -XEN_ENODEV: nobody is there any more. */
	int (*health)(struct disk_watch *w);
	/* Takes answers whose interrupt did not come, and sends what waited for room. */
	void (*reap)(struct disk_watch *w);
	/* From now on requests wait in the driver; begins to reset the device. */
	void (*stop)(struct disk_watch *w);
	/* Called every 10 ms after that: 0 when the device takes commands again, -XEN_EAGAIN: not yet, at most
	 * reset_polls times; another error ends it. */
	int (*reset)(struct disk_watch *w);
	/* Sends what was in flight again, but for what disk_age_is_lost says has failed, and what waited. */
	void (*resend)(struct disk_watch *w);
	/* Takes memory away from the device, ends everything with -XEN_EIO, refuses what comes (disk_gone_ops)
	 * and unregisters its disks. */
	void (*end)(struct disk_watch *w);
};

enum disk_phase { DISK_RUNNING, DISK_RESETTING, DISK_GONE };

struct disk_watch {
	const struct disk_watch_ops *ops;
	char name[16];        /* of the device, for the log */
	unsigned reset_polls; /* how long a reset may take, in 10 ms */
	/* the watch's */
	struct host_work work;
	enum disk_phase phase;
	unsigned polls_left, resets;
};

/* With ops, name and reset_polls set. */
void disk_watch_init(struct disk_watch *w);

/* Something was sent: it will be looked at until nothing is in flight. */
static inline void disk_watch(struct disk_watch *w)
{
	if (!w->work.queued)
		host_work_after(&w->work, DISK_LOOK_NS);
}

/* The driver's own word that its running device wants a reset, or is not there any more. */
void disk_watch_reset(struct disk_watch *w, const char *why);
void disk_watch_gone(struct disk_watch *w, const char *why);

static inline unsigned disk_age_look(struct disk_age *age, unsigned oldest)
{
	age->looks++;
	return MAX(oldest, (unsigned)age->looks);
}

/* For resend: whether the command has been lost too often. */
bool disk_age_is_lost(struct disk_age *age);

/* What a disk's ops are when it is gone: everything fails. */
extern const struct block_ops disk_gone_ops;

#endif

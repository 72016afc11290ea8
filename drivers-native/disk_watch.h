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
#include <amphi/drivers.h>
#include <amphi/host.h>

/* Thirty seconds. It is looks that are counted and not time, and each look at something old waits for a moment: where
 * clocks leap (a processor that is simulated, a machine that slept) a command is not late because the clock says so. */
#define DISK_LOOKS_MAX 300u
#define DISK_TRIES_MAX 2u
#define DISK_LOOK_NS   100000000ull
#define DISK_POLL_NS   10000000ull

/* Ten seconds, in looks too: how long a request waits for room that others have. */
#define DISK_ROOM_LOOKS_MAX 100u

/* Of a command in flight; zeros when it is sent. */
struct disk_age {
	uint16_t looks; /* how often the watch has seen it */
	uint16_t tries; /* how often it was sent again because no answer came */
};

struct disk_watch;

/* A command in flight. */
struct disk_command {
	struct disk_age *age;
	struct block_device *disk;
	const struct block_request *req;
};

struct disk_watch_ops {
	/* The n-th, n below n_commands. False: there is none; of a running device, none that it has. */
	bool (*command)(struct disk_watch *w, unsigned n, struct disk_command *out);
	/* 0; -XEN_EIO: it has failed and wants a reset; -XEN_ENODEV: nobody is there any more. */
	int (*health)(struct disk_watch *w);
	/* Takes answers whose interrupt did not come, and sends what waited for room. */
	void (*reap)(struct disk_watch *w);
	/* From now on requests wait in the driver; begins to reset the device. */
	void (*stop)(struct disk_watch *w);
	/* Called every 10 ms after that: 0 when the device takes commands again, -XEN_EAGAIN: not yet, at most
	 * reset_polls times; another error ends it. */
	int (*reset)(struct disk_watch *w);
	/* After that, of the n-th command: sends it again; ends it with -XEN_EIO. What its done() submits waits. */
	void (*again)(struct disk_watch *w, unsigned n);
	void (*fail)(struct disk_watch *w, unsigned n);
	/* Sends what waited. */
	void (*resume)(struct disk_watch *w);
	/* Takes memory away from the device, and refuses what comes (disk_gone_ops); all that is in flight fails. */
	void (*detach)(struct disk_watch *w);
	/* Then: ends what waits, and unregisters the disks. */
	void (*gone)(struct disk_watch *w);
	/* May be NULL: of one that was taken away with its function: gives all back, w's own memory too. A device that
	 * cannot be seen to have stopped keeps what it was told of. */
	void (*free)(struct disk_watch *w);
};

enum disk_phase { DISK_RUNNING, DISK_RESETTING, DISK_GONE };

struct disk_watch {
	const struct disk_watch_ops *ops;
	char name[16];        /* of the device, for the log */
	unsigned reset_polls; /* how long a reset may take, in 10 ms */
	unsigned n_commands;  /* that can be in flight */
	/* the watch's */
	struct disk_watch *next;
	uint16_t bdf;
	struct host_work work;
	enum disk_phase phase;
	unsigned polls_left, resets;
	bool wants_room;     /* until the next look */
	unsigned room_looks; /* that found none, since anything was in flight */
};

/* With ops, name, reset_polls and n_commands set. */
void disk_watch_init(struct disk_watch *w);

/* Its disks are registered: from now on it may be removed with its function. */
void disk_watch_started(struct disk_watch *w, uint16_t bdf);
/* The function is taken away: stopped, and gone as one that does not answer. Nothing when it is no disk's. */
void disk_watch_remove(uint16_t bdf);
/* As drivers_native_error says, of all disks of this function. */
void disk_watch_error(uint16_t bdf, enum drivers_error what);
/* The one of these ops that drives this function, and runs; NULL: none. */
struct disk_watch *disk_watch_find(uint16_t bdf, const struct disk_watch_ops *ops);

/* Something was sent: it will be looked at until nothing is in flight. */
static inline void disk_watch(struct disk_watch *w)
{
	if (!w->work.queued)
		host_work_after(&w->work, DISK_LOOK_NS);
}

/* A request's memory could not be mapped (dma_is_full). True: it may wait, since reap is called at the next look, if no end of a command comes before
 * that. False: for long nothing of this device was in flight, so what is full others have filled, or it is too small: the request fails. */
bool disk_watch_room(struct disk_watch *w);

/* The driver's own word that its running device wants a reset, or is not there any more. */
void disk_watch_reset(struct disk_watch *w, const char *why);
void disk_watch_gone(struct disk_watch *w, const char *why);

/* A device that fails by itself does so by one of the commands it has, and nobody knows which: each counts as one that
 * was waited for in vain. */
void disk_watch_blame(struct disk_watch *w);

/* What a disk's ops are when it is gone: everything fails. */
extern const struct block_ops disk_gone_ops;

/* Requests that were submitted and are not wholly sent, in order. */
struct disk_waiting {
	struct block_request *first, **tail;
};

static inline void disk_waiting_init(struct disk_waiting *list)
{
	list->first = NULL;
	list->tail = &list->first;
}

static inline void disk_waiting_add(struct disk_waiting *list, struct block_request *req)
{
	req->next = NULL;
	*list->tail = req;
	list->tail = &req->next;
}

/* The first goes; there is one. */
static inline void disk_waiting_drop(struct disk_waiting *list)
{
	list->first = list->first->next;
	if (!list->first)
		list->tail = &list->first;
}

/* All end with -XEN_EIO. */
void disk_waiting_fail(struct disk_waiting *list);

#endif

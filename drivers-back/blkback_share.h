/* blkback_share.h: who of several guests may use a real disk next; private to drivers-back/.
 *
 * A share_disk is a real disk, a share_guest a domain that uses it, a share_member a disk of that domain's on it, a
 * share_item a request of that one. The
 * caller (blkback_flow.c) asks before it gives a request to the disk, tells when it is back, and asks for
 * the next. Implemented by blkback_share.c: pure, no clock, no memory, no disk. Times are host_time_ns's.
 *
 * Two promises. Guests that want more than the disk has get the same of it, by cost: the bytes of their
 * requests and SHARE_REQUEST_BYTES for each; and the disks of one guest get the same of what the guest gets. And no
 * member gets more than its own limit. Not promised: that a
 * member that asks for little is never kept waiting by the requests that the disk has already.
 */
#ifndef DRIVERS_BACK_BLKBACK_SHARE_H
#define DRIVERS_BACK_BLKBACK_SHARE_H

#include <amphi/types.h>

/* What a disk moves in about the time that one request takes by itself. */
#define SHARE_REQUEST_BYTES 16384u
/* In flight in a disk that several use: more would only queue up in there, where nobody is fair. */
#define SHARE_DEPTH 32u
/* And given to it in one turn, by cost: a disk that answers at once never has any in flight. */
#define SHARE_TURN_BYTES (512u * 1024u)
/* A guest that had so much of the disk since it last had nothing to do there, and has nothing now, is waited for: it has its
 * answers and is about to ask for more. On a disk that answers at once it would find, each time, that others have had what
 * they wanted meanwhile, and who keeps most waiting would get most. */
#define SHARE_AWAITED_BYTES (SHARE_TURN_BYTES / 4)
#define SHARE_AWAITED_NS    50000u
/* After so many requests of one member alone it has the disk's whole depth again. */
#define SHARE_ALONE 256u

#define SHARE_IOPS_MAX       10000000u
#define SHARE_BPS_MAX        (1ull << 40)
#define SHARE_BURST_MAX_MS   60000u
#define SHARE_BURST_USUAL_MS 100u

/* Whatever is configured: the caller's clock does not wake it to the microsecond, and what a late look has missed would
 * be lost. */
#define SHARE_BURST_LEAST_MS 10u

/* 0: no limit. burst_ms: how long an idle member may save up its rate. */
struct share_limit {
	uint64_t iops, bps;
	uint32_t burst_ms;
};

struct share_item {
	struct share_item *next; /* the share's, while it waits */
	uint32_t bytes;          /* the caller's: data moved; 0 for a flush or a discard */
};

struct share_disk;

/* Its memory is the caller's, from the first of its members that joins to the last that parts. All zero before. */
struct share_guest {
	struct share_guest *next; /* of the disk's guests */
	unsigned n_members, n_waiting, in_flight;
	uint64_t finish; /* the disk's virtual time when what it was given so far is paid for */
	uint64_t virtual_time; /* its own: where its member served last began */
	uint64_t taken;        /* cost of what it was given since it had nothing to do */
	bool awaited;
};

struct share_member {
	struct share_disk *disk;
	struct share_guest *guest;
	struct share_member *next;        /* of the disk's members */
	struct share_item *first, **last; /* those that wait, oldest first */
	unsigned n_waiting, in_flight;
	uint64_t finish; /* as the guest's, in the guest's virtual time */
	struct share_limit limit;
	bool limited;
	/* Alone on its disk and without a limit: what it asks for may go without being asked about. The caller
	 * remembers of which requests it has asked, and tells of those alone. */
	bool passes;
	/* A rate is a clock that runs ahead: each request moves it by what it takes at that rate, and may go as
	 * long as it is not further ahead of now than the burst. */
	uint64_t requests_due_ns, bytes_due_ns;
	uint64_t n_waited; /* counters: requests that had to wait */
	uint64_t n_held;   /* looks at its first request that found its own limit in the way */
};

struct share_disk {
	struct share_member *members, *last_served;
	struct share_guest *guests;
	unsigned n_members, n_guests, n_awaited, depth;
	unsigned in_flight, alone, turn_left;
	uint64_t virtual_time; /* in bytes of cost: where the guest served last began */
	uint64_t awaited_ns;   /* until then; 0: the next look at the line says */
	bool hungry;           /* somebody waits for room, so nobody goes past */
};

/* depth: requests worth having in flight in it, 0 counts as 1. */
void share_disk_init(struct share_disk *d, unsigned depth);

void share_join(struct share_disk *d, struct share_guest *g, struct share_member *m);
/* Nothing of it waits or is in flight. */
void share_part(struct share_member *m);

/* From now on, and with a full burst. */
void share_set_limit(struct share_member *m, const struct share_limit *limit);

/* True: give it to the disk. False: it waits here, and share_next gives it. now_ns is looked at only of a
 * limited member. */
bool share_enter(struct share_member *m, struct share_item *item, uint64_t now_ns);

/* A request that the disk was given has come back. True: share_next has something to say. */
bool share_leave(struct share_member *m);

/* A turn of the caller's loop over share_next begins, of SHARE_TURN_BYTES when several use the disk. */
void share_turn(struct share_disk *d);

/* Another turn is wanted, soon: share_next said NULL because the turn was over, or has yet to say for how long somebody is
 * waited for. */
bool share_wants_turn(const struct share_disk *d);

/* The next request for the disk, and whose; NULL: none now. Then *out_wake_ns is when a limit lets the next go, or a
 * guest is waited for no longer; 0: none waits for that. */
struct share_item *share_next(struct share_disk *d, uint64_t now_ns, struct share_member **out_m,
			      uint64_t *out_wake_ns);

/* Takes all that waits of a member that is going, oldest first, not to be given to the disk. */
struct share_item *share_take_waiting(struct share_member *m);

#endif

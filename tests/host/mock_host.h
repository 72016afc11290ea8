/* mock_host.h: a world of several domains in one host process, for tests of the portable rooms.
 *
 * Implements all of host.h (mock_host.c: memory, work, time, log; mock_share.c: grants, events;
 * mock_store.c: the store) and host_block.h (mock_disk.c). Pages are shared for real: a mapped
 * grant is another virtual address of the same memory, and faults after unmap. Tests say which
 * domain calls (mock_enter); callbacks run from mock_run, each in its own domain. One thread.
 * Not promised: speed, quotas, wire formats.
 */
#ifndef TESTS_MOCK_HOST_H
#define TESTS_MOCK_HOST_H

#include <amphi/host_block.h>
#include <amphi/host.h>

#define MOCK_DOMAINS 8u /* domid below */

/* ---- the world ---- */
void mock_reset(void); /* everything gone; domain 0 calls */
void mock_enter(domid_t domain);
domid_t mock_current(void);

/* Runs callbacks until none is due; at most limit, returns how many ran. Same order each time,
 * or, after mock_shuffle(seed != 0), the domains take turns by chance. */
unsigned mock_run(void);
unsigned mock_run_some(unsigned limit);
void mock_shuffle(uint32_t seed);
void mock_advance(uint64_t ns); /* time; then as mock_run */

/* A domain gets no turn: its callbacks wait. */
void mock_freeze(domid_t domain, bool frozen);

/* A domain dies: its mappings, ports, watches and works end without a word; what it granted stays
 * mapped where it is mapped. */
void mock_kill(domid_t domain);

/* A domain wakes up in a new world (kernel/suspend.h): its ports are gone without a word, and nobody has what it
 * granted mapped. Ports it still holds may be closed once, which does nothing. */
void mock_new_world(domid_t domain);

/* ---- what is left (0 everywhere after a clean end) ---- */
struct mock_left {
	unsigned allocs, pages, grants, maps, ports, watches, works, transactions;
};
struct mock_left mock_left(domid_t domain);
bool mock_nothing_left(domid_t domain); /* says on stderr what is */

/* ---- faults ---- */
void mock_fail_after(
    int n);               /* the n-th call from now that can lack something fails, once; <0: none */
int mock_fail_left(void); /* to put it back after calls that shall not fail */
void mock_fail_all(bool on);
void mock_tx_conflicts(int n); /* the next n commits say -XEN_EAGAIN */

/* ---- looking ---- */
bool mock_logged(const char *part); /* some line since mock_reset contains it */
void mock_log_to_stderr(bool on);
struct mock_calls { /* hypercalls a kernel would have made, since mock_reset */
	uint64_t notifies, spurious, map_calls, mapped, unmap_calls, unmapped, copies, works_run;
};
extern struct mock_calls mock_calls;

/* Where the current domain last mapped a ring; NULL: none. For tests that watch its fetches. */
void *mock_last_ring(void);
/* Where the current domain has this grant mapped; NULL: nowhere. */
void *mock_mapping(domid_t owner, gref_t ref);

/* Offers a page under a reference of the test's choice, which is free. */
void mock_grant_again(domid_t owner, gref_t ref, domid_t peer, void *page);

/* The store as a toolstack sees it: absolute paths, any domain's. NULL: no such node. */
void mock_store_put(const char *path, const char *value);
const char *mock_store_get(const char *path);
/* The same of dir/key; "": no such node. */
void mock_store_put_key(const char *dir, const char *key, const char *value);
const char *mock_store_key(const char *dir, const char *key);
/* The directory of a guest's front half of this kind ("vbd"), or of its back half in domain 0; until the next call. */
const char *mock_front_dir(const char *kind, domid_t guest, unsigned id);
const char *mock_back_dir(const char *kind, domid_t guest, unsigned id);
/* Writes by the rooms of any node of this name have no effect from now on; NULL: all have. */
void mock_store_hide(const char *name);
void mock_store_remove(const char *path);
unsigned mock_store_count(const char *below); /* nodes at and below */

/* ---- disks ---- */
struct mock_disk {
	struct block_device dev;
	uint8_t *data;
	bool hold;       /* requests wait for mock_disk_release */
	int fail_status; /* what every request ends with, when not 0 */
	bool no_data;    /* moves nothing: for measurements */
	unsigned kicks, submits, flushes, discards;
	struct block_request last[16]; /* what was submitted, the n-th at n % 16 (submits counts) */
	struct block_request *held, **held_tail;
	domid_t domain;
};
/* A RAM disk of the current domain that host_block_find(name) gives. */
struct mock_disk *mock_disk_new(const char *name, uint64_t sectors);
unsigned mock_disk_release(struct mock_disk *disk, unsigned count); /* completes the oldest */
void mock_disk_release_last(struct mock_disk *disk);                /* all but the oldest */
/* A disk registered by a frontend in a domain; NULL: none of that name. */
struct block_device *mock_find_registered(domid_t domain, const char *name);
unsigned mock_registered(domid_t domain);

/* ---- the inside, shared by the mock's files ---- */
enum mock_kind { MOCK_WORK, MOCK_EVENT, MOCK_WATCH };
void mock_queue(domid_t domain, enum mock_kind kind, void *what, const char *path);
bool mock_should_fail(void);
bool mock_run_other(void);   /* one callback of another domain; false: none is due */
void mock_pass(uint64_t ns); /* time alone: nothing runs */
void mock_bug(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
void mock_run_event(void *what);
void mock_run_watch(void *what, const char *path);
bool mock_page_live(const void *page, domid_t domain);
int mock_page_fd(const void *page, long *out_offset);
void mock_share_reset(void);
void mock_store_reset(void);
void mock_disk_reset(void);
void mock_share_kill(domid_t domain);
void mock_store_kill(domid_t domain);
void mock_share_left(domid_t domain, struct mock_left *left);
void mock_store_left(domid_t domain, struct mock_left *left);

#endif

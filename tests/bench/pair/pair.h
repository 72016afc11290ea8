/* pair.h: two processes that share memory, ring each other's bell and count: under both rings that pair.c measures.
 *
 * The parent is the guest, the child serves. A bell is a word in shared memory, as an event channel's bit is, and whoever has
 * nothing to do looks at its own again and again: no hypervisor, no scheduler is in the figure, only the two halves and the
 * memory between them. Implemented by pair.c; callers: pair_blkif.c, pair_virtio.c. Not a test: nothing is checked but that
 * requests end well.
 */
#ifndef TESTS_BENCH_PAIR_H
#define TESTS_BENCH_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#define PAIR_DEPTH 32u /* requests in flight, of 4 KiB */
#define PAIR_BYTES 4096u
#define PAIR_SLOTS 1024u /* the disk, in requests */

enum pair_side { PAIR_GUEST, PAIR_SERVER };

/* Shared from the fork on. side is each process's own. */
extern enum pair_side pair_side;
void *pair_memory(unsigned pages); /* zeroed; before the fork */
void pair_ring(enum pair_side side);

/* Forks. step does what there is to do when its side's bell has rung; the guest's has counted by pair_done. Prints a line for `what` and
 * returns after two seconds, or the requests that the command line asks for. begin: the guest's first requests. */
void pair_run(const char *what, void (*begin)(void), void (*step[2])(void));
void pair_done(unsigned requests);
uint64_t pair_next_slot(void); /* at random, the same each time */

void pair_blkif(void);
void pair_virtio(void);

#endif

/* peer_recorder.h: counts how often each byte of a peer's memory is fetched, for tests of peer.h's
 * users.
 *
 * Between two calls of peer_recorder_begin no byte of a watched range may be fetched twice: a
 * second fetch is counted, and, when asked, sees another value than the first did, as a hostile
 * peer would arrange. Linked into every host test (peer.h calls it); without a range it does
 * nothing.
 */
#ifndef TESTS_PEER_RECORDER_H
#define TESTS_PEER_RECORDER_H

#include <stdbool.h>
#include <stddef.h>

/* Forgets all fetches; watches len bytes (<= 65536) at base; flips bytes at a second fetch when
 * flip. */
void peer_recorder_begin(void *base, size_t len, bool flip);
void peer_recorder_end(void);

unsigned peer_recorder_fetched(void); /* bytes fetched at least once */
unsigned peer_recorder_doubles(void); /* fetches of a byte beyond its first */

#endif

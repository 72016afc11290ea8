/* peer_recorder.c: the test side of peer.h: what was fetched from a peer, and was it fetched twice?
 *
 * A driver that checks a value and then reads it again lets the peer change it in between. No test
 * of values finds that; counting fetches does. Called by peer.h in host builds.
 */
#include <amphi/peer.h>
#include <string.h>

#include "peer_recorder.h"

static uint8_t counts[65536];
static uint8_t *watched;
static size_t watched_len;
static bool flipping;
static unsigned doubles, fetched;

void peer_recorder_begin(void *base, size_t len, bool flip)
{
	memset(counts, 0, sizeof(counts));
	watched = base;
	watched_len = len < sizeof(counts) ? len : sizeof(counts);
	flipping = flip;
	doubles = fetched = 0;
}

void peer_recorder_end(void)
{
	watched = NULL;
	watched_len = 0;
}

unsigned peer_recorder_fetched(void)
{
	return fetched;
}

unsigned peer_recorder_doubles(void)
{
	return doubles;
}

void peer_on_fetch(const volatile void *from, size_t len)
{
	size_t at = (size_t)((const volatile uint8_t *)from - watched);

	for (size_t i = 0; i < len && watched; i++) {
		if (at + i >= watched_len)
			continue;
		if (counts[at + i]++ == 0) {
			fetched++;
			continue;
		}
		doubles++;
		if (flipping)
			watched[at + i] ^= 0xff;
	}
}

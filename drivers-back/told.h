/* told.h: what a guest does wrong is told once in a while, each kind of it; private to drivers-back.
 *
 * A guest may be wrong as fast as it can: the log is not its. Callers: blkback.c and netback.c, for each request or packet that
 * is refused.
 */
#ifndef DRIVERS_BACK_TOLD_H
#define DRIVERS_BACK_TOLD_H

#include <amphi/host.h>

#define TOLD_SPAN_NS 10000000000ull

struct told {
	const char *why[16]; /* since_ns; as many as there are, or as matter */
	uint64_t since_ns;
};

/* Whether this reason, a constant, was told already in this span, or can not be remembered. */
static inline bool told_already(struct told *told, const char *why)
{
	uint64_t now = host_time_ns();
	unsigned i = 0;

	if (now - told->since_ns >= TOLD_SPAN_NS)
		*told = (struct told){.since_ns = now};
	while (i < ARRAY_SIZE(told->why) && told->why[i] && told->why[i] != why)
		i++;
	if (i == ARRAY_SIZE(told->why) || told->why[i])
		return true;
	told->why[i] = why;
	return false;
}

#endif

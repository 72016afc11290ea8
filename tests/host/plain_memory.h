/* plain_memory.h: how much a part of the product holds of plain_memory.c's memory, and when it gets no more.
 *
 * For tests and fuzzers of parts that ask nothing of host.h but memory; mock_host.h is the world for all others.
 */
#ifndef TESTS_PLAIN_MEMORY_H
#define TESTS_PLAIN_MEMORY_H

#include <stdbool.h>

struct plain_memory {
	long held;        /* pieces given and not yet returned */
	unsigned fail_in; /* the nth request from now on is refused, that one alone; 0: none */
	bool none_left;   /* all are */
};

extern struct plain_memory plain_memory;

#endif

/* fake_hypercall.h: a hypervisor in a host test: every hypercall ends in one function of the test.
 *
 * The wrappers of amphi/hypercall.h call into the hypercall page; fake_hypercall.c is such a page. The
 * test defines fake_hypercall() and answers. hypercall_counts is defined here.
 */
#ifndef FAKE_HYPERCALL_H
#define FAKE_HYPERCALL_H

#include <stdint.h>

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr);

#endif

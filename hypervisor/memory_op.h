/* memory_op.h: what the two files of the memory_op hypercall share.
 *
 * Private to memory_op.c and memory_exchange.c. Called without mm's lock.
 */
#ifndef HV_MEMORY_OP_H
#define HV_MEMORY_OP_H

#include <stdint.h>

/* The first frame number a caller does not want, by XENMEMF_address_bits of mem_flags; ~0: any. */
uint64_t memory_limit(uint32_t mem_flags);

/* XENMEM_exchange. */
long memory_exchange(uint64_t cmd, uint64_t arg_va);

#endif

/* port.h: what kernel/net's files and lwIP ask of port.c: memory within a bound, chance, and whether all of it came back.
 *
 * Private to kernel/net; lwIP itself sees the same functions through port/lwipopts.h and port/arch/cc.h. Worker context.
 */
#ifndef KERNEL_NET_PORT_H
#define KERNEL_NET_PORT_H

#include <amphi/types.h>

/* From now on all of lwIP's memory together, and ours for frames, is at most so much. */
void net_mem_limit(size_t limit_bytes);

/* NULL: the bound is reached, or the domain has none. Aligned to 16, not zeroed. */
void *net_mem_alloc(size_t size);
void *net_mem_zeroed(size_t count, size_t size);
void net_mem_free(void *p);

/* What is out, with what each block costs beside its size. */
size_t net_mem_used(void);
/* Whether there is enough for what may wait: bytes to send, or not read yet. The other half is for packets in passing, without which those that wait
 * would wait for ever. */
bool net_mem_ample(void);
/* Gives back what is kept for the next asking. */
void net_mem_trim(void);

/* Chance. stir adds what nobody else knows, or knows exactly: the clock's low bits, an interface's address. */
uint32_t net_random(void);
void net_random_stir(const void *bytes, size_t len);

#endif

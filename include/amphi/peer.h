/* peer.h: the only way to touch memory that a peer can change at the same time.
 *
 * Shared pages (rings, console and store buffers, grant entries) are opaque: a value is fetched
 * once into private memory and checked there. A check made in shared memory is a bug even when
 * it works. On the host the test build (AMPHI_HOST_TEST) routes every access through a recorder
 * (tests/host/peer_recorder.c) that counts fetches per byte and may change bytes after the first.
 */
#ifndef AMPHI_PEER_H
#define AMPHI_PEER_H

#include <stddef.h>
#include <stdint.h>

/* Memory of a peer. Never dereferenced outside this header. */
typedef struct peer_byte {
	volatile uint8_t opaque;
} peer_byte;

#ifdef AMPHI_HOST_TEST
/* Called before each fetch of len bytes; the recorder's, or the empty one of tests. */
void peer_on_fetch(const volatile void *from, size_t len);
#else
static inline void peer_on_fetch(const volatile void *from, size_t len)
{
	(void)from, (void)len;
}
#endif

/* Orders: everything read before against everything after, and the same for writes. x86 keeps
 * loads and stores each in order, so these bind the compiler alone; full is a real fence. */
#define peer_rmb() __asm__ volatile("" ::: "memory")
#define peer_wmb() __asm__ volatile("" ::: "memory")
#define peer_mb()  __asm__ volatile("lock; addl $0, -4(%%rsp)" ::: "memory", "cc")

static inline uint32_t peer_fetch32(const volatile uint32_t *from)
{
	peer_on_fetch(from, sizeof(*from));
	return *from;
}
static inline uint16_t peer_fetch16(const volatile uint16_t *from)
{
	peer_on_fetch(from, sizeof(*from));
	return *from;
}
/* At a multiple of 4: the 32-bit layouts of rings align no better. */
static inline uint64_t peer_fetch64(const volatile void *from)
{
	typedef uint64_t word __attribute__((aligned(4), may_alias));

	peer_on_fetch(from, sizeof(uint64_t));
	return *(const volatile word *)from;
}
static inline void peer_store32(volatile uint32_t *to, uint32_t value)
{
	*to = value;
}
static inline void peer_store64(volatile uint64_t *to, uint64_t value)
{
	*to = value;
}

/* Bits of a word of which the peer changes others at the same time. Full barriers. */
static inline void peer_set_bits32(volatile uint32_t *to, uint32_t bits)
{
	__atomic_fetch_or(to, bits, __ATOMIC_SEQ_CST);
}
static inline void peer_clear_bits32(volatile uint32_t *to, uint32_t bits)
{
	__atomic_fetch_and(to, ~bits, __ATOMIC_SEQ_CST);
}

/* Copies len bytes in, each fetched exactly once, in ascending order; words while they last, because
 * an emulated rep counts an instruction for each. */
static inline void peer_copy_in(void *to, const volatile void *from, size_t len)
{
	uint8_t *d = to;
	const volatile uint8_t *s = from;
	size_t words = len / 8, rest = len % 8;

	peer_on_fetch(from, len);
	__asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words)::"memory");
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(rest)::"memory");
}
static inline void peer_copy_out(volatile void *to, const void *from, size_t len)
{
	volatile uint8_t *d = to;
	const uint8_t *s = from;
	size_t words = len / 8, rest = len % 8;

	__asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words)::"memory");
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(rest)::"memory");
}

#endif

/* hypercall.h: the calls into a hypervisor that speaks Xen's PV ABI.
 *
 * Callers: pvops, the kernel, and the rooms it wires (never natively: there each call answers
 * -XEN_ENOSYS). The other side is Xen or amphi-hv. One typed wrapper hypercall_NAME(...) per row of
 * amphi/hypercall.def; results as the ABI gives them: 0 or positive, or a negative XEN_Exxx.
 *
 * Arguments in memory must be mapped; the caller owns them. Any context. Not promised: that a call
 * returns soon (sched_op block waits, as its name says).
 */
#ifndef AMPHI_HYPERCALL_H
#define AMPHI_HYPERCALL_H

#include <amphi/iospace.h>
#include <amphi/types.h>
#include <amphi/xen.h>

#define HYPERCALL_NUMBERS 64u

extern uint64_t hypercall_counts[HYPERCALL_NUMBERS];
extern char hypercall_page[]; /* 32 bytes per number; the loader fills it under a hypervisor */

/* The call itself. The stub is entered by its address in the page, computed by the linker. */
#define HYPERCALL_RAW(nr, a1, a2, a3, a4)                                                          \
	({                                                                                         \
		int64_t hc_res;                                                                    \
		uint64_t hc_1 = (uint64_t)(a1), hc_2 = (uint64_t)(a2), hc_3 = (uint64_t)(a3);      \
		register uint64_t hc_4 __asm__("r10") = (uint64_t)(a4);                            \
		hypercall_counts[nr]++;                                                            \
		__asm__ volatile("call hypercall_page+32*%c[n]"                                    \
				 : "=a"(hc_res), "+D"(hc_1), "+S"(hc_2), "+d"(hc_3), "+r"(hc_4)    \
				 : [n] "i"(nr)                                                     \
				 : "rcx", "r8", "r9", "r11", "memory", "cc");                      \
		hc_res;                                                                            \
	})

#define CALL1(name, nr, t1, a1)                                                                    \
	static inline int64_t hypercall_##name(t1 a1)                                              \
	{                                                                                          \
		return HYPERCALL_RAW(nr, a1, 0, 0, 0);                                             \
	}
#define CALL2(name, nr, t1, a1, t2, a2)                                                            \
	static inline int64_t hypercall_##name(t1 a1, t2 a2)                                       \
	{                                                                                          \
		return HYPERCALL_RAW(nr, a1, a2, 0, 0);                                            \
	}
#define CALL3(name, nr, t1, a1, t2, a2, t3, a3)                                                    \
	static inline int64_t hypercall_##name(t1 a1, t2 a2, t3 a3)                                \
	{                                                                                          \
		return HYPERCALL_RAW(nr, a1, a2, a3, 0);                                           \
	}
#define CALL4(name, nr, t1, a1, t2, a2, t3, a3, t4, a4)                                            \
	static inline int64_t hypercall_##name(t1 a1, t2 a2, t3 a3, t4 a4)                         \
	{                                                                                          \
		return HYPERCALL_RAW(nr, a1, a2, a3, a4);                                          \
	}
#include <amphi/hypercall.def>

/* Calls made so far: of one number (< HYPERCALL_NUMBERS), of all. Multicalls count as one. */
uint64_t hypercall_count(unsigned nr);
uint64_t hypercall_total(void);

/* The name of a number that hypercall.def has, or NULL. */
const char *hypercall_name(unsigned nr);

/* ---- several calls in one ----------------------------------------------------------- */

#define HYPERCALL_BATCH 24u

/* On the caller's stack or static; begins as zeros. */
struct hypercall_batch {
	unsigned n;
	/* Of any flush since the start; 0: none, and which call it was. Set back by the caller. */
	unsigned failed;
	int64_t first_error;
	struct multicall_entry entries[HYPERCALL_BATCH];
};

/* Queues a call, flushing first when the batch is full. args: n_args of them, up to 4. What they point to
 * must stay until the flush. */
void hypercall_batch_add(struct hypercall_batch *batch, unsigned nr, const uint64_t *args,
			 unsigned n_args);

/* Makes the calls queued, in order: one multicall, or the call itself when there is but one. Returns
 * first_error. A failed call does not stop the rest. */
int64_t hypercall_batch_flush(struct hypercall_batch *batch);

/* The same, typed: batch_NAME(batch, ...) per row. */
#define BATCH_ADD(batch, nr, ...)                                                                  \
	({                                                                                         \
		const uint64_t args_[] = {__VA_ARGS__};                                            \
		hypercall_batch_add(batch, nr, args_, sizeof(args_) / sizeof(args_[0]));           \
	})
#define CALL1(name, nr, t1, a1)                                                                    \
	static inline void batch_##name(struct hypercall_batch *batch, t1 a1)                      \
	{                                                                                          \
		BATCH_ADD(batch, nr, (uint64_t)(a1));                                              \
	}
#define CALL2(name, nr, t1, a1, t2, a2)                                                            \
	static inline void batch_##name(struct hypercall_batch *batch, t1 a1, t2 a2)               \
	{                                                                                          \
		BATCH_ADD(batch, nr, (uint64_t)(a1), (uint64_t)(a2));                              \
	}
#define CALL3(name, nr, t1, a1, t2, a2, t3, a3)                                                    \
	static inline void batch_##name(struct hypercall_batch *batch, t1 a1, t2 a2, t3 a3)        \
	{                                                                                          \
		BATCH_ADD(batch, nr, (uint64_t)(a1), (uint64_t)(a2), (uint64_t)(a3));              \
	}
#define CALL4(name, nr, t1, a1, t2, a2, t3, a3, t4, a4)                                            \
	static inline void batch_##name(struct hypercall_batch *batch, t1 a1, t2 a2, t3 a3, t4 a4) \
	{                                                                                          \
		BATCH_ADD(batch, nr, (uint64_t)(a1), (uint64_t)(a2), (uint64_t)(a3),               \
			  (uint64_t)(a4));                                                         \
	}
#include <amphi/hypercall.def>

#endif

/* types.h: the words of the house as types.
 *
 * Every kind of number that must not be mixed with another is a one-member struct, so that the
 * compiler keeps them apart. No calls, no state. Sizes are x86-64's.
 */
#ifndef AMPHI_TYPES_H
#define AMPHI_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SHIFT  12
#define PAGE_SIZE   4096ul
#define PAGE_MASK   (~(PAGE_SIZE - 1))
#define SECTOR_SIZE 512u

#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))
#define ROUND_UP(x, to)                 (((x) + (to)-1) / (to) * (to))
#define DIV_ROUND_UP(x, by)             (((x) + (by)-1) / (by))
#define PAGES_FOR(bytes)                DIV_ROUND_UP((bytes), PAGE_SIZE)
#define MIN(a, b)                       ((a) < (b) ? (a) : (b))
#define MAX(a, b)                       ((a) > (b) ? (a) : (b))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* A guest's own frame number, a machine frame number, a machine byte address. */
typedef struct {
	uint64_t v;
} pfn_t;
typedef struct {
	uint64_t v;
} mfn_t;
typedef struct {
	uint64_t v;
} maddr_t;

/* An event channel's local port; 0 is no port. */
typedef struct {
	uint32_t v;
} port_t;

/* An index into a grant table: the owner's, whichever side holds it. (Xen's headers own the
 * name grant_ref_t, a plain uint32_t.) */
typedef struct {
	uint32_t v;
} gref_t;

#define MFN_NONE  ((mfn_t){~0ull})
#define PORT_NONE ((port_t){0})

static inline maddr_t mfn_to_maddr(mfn_t m)
{
	return (maddr_t){m.v << PAGE_SHIFT};
}
static inline mfn_t maddr_to_mfn(maddr_t a)
{
	return (mfn_t){a.v >> PAGE_SHIFT};
}

#endif

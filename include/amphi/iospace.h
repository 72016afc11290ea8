/* iospace.h: the hypercall by which a domain fills the IO spaces of the functions it owns.
 *
 * Both sides: a kernel in a domain calls, amphi-hv answers (real Xen: -XEN_ENOSYS). Its operations are those of the published
 * PV-IOMMU proposal for Xen, by the same numbers up to IOSPACE_lookup; what follows those is ours. A *context* is a space of DMA
 * addresses of one unit; a function is in one context of its owner's at a time. Context 0 is always there and the hypervisor's to
 * fill: empty, unless the domain was made with XEN_DOMCTL_CDF_iommu (then its own memory at machine addresses); the first domain's
 * reaches all memory. Contexts 1.. are made here and hold what the domain maps into them.
 *
 * What is mapped is held: a page cannot leave its owner, become a table, or have its grant end, before it is out of every context
 * AND the unit was told to forget it. What is granted stays in use, as its granter sees it, for as long.
 * Any context of the caller's kernel. Not promised: that a page that was unmapped is out of reach before it is flushed.
 */
#ifndef AMPHI_IOSPACE_H
#define AMPHI_IOSPACE_H

#include <amphi/types.h>
#include <amphi/xen.h>

/*	int64_t hypercall_iospace_op(struct iospace_op *ops, unsigned count)
 *
 * Does count operations in order and writes the status of each; one that fails does not stop the rest. Returns 0; -XEN_ENOSYS:
 * nobody knows of IO spaces; -XEN_ENODEV: the machine has no unit; -XEN_EFAULT: the list cannot be read or written, and of up to
 * IOSPACE_BATCH operations from there on it is not told whether they were done. Statuses mean something after a return of 0 only.
 *
 * Flushing: what the operations of one call unmapped is flushed together before the call returns, or before the next
 * IOSPACE_BATCH of its operations, and the status of an unmap says whether that was done; with IOSPACE_NO_FLUSH it is left to a flush
 * operation. No more than IOSPACE_WAITING pages of a context wait for one: then the hypervisor flushes by itself. */
#define __HYPERVISOR_iospace_op 43

#define IOSPACE_query       1u
#define IOSPACE_alloc       2u
#define IOSPACE_free        3u
#define IOSPACE_attach      4u
#define IOSPACE_map         5u
#define IOSPACE_unmap       6u
#define IOSPACE_lookup      7u
#define IOSPACE_flush_entry 16u
#define IOSPACE_flush_range 17u
#define IOSPACE_flush_all   18u
#define IOSPACE_next_fault  19u
#define IOSPACE_reserved    20u

/* flags. Bits that an operation does not name must be 0: -XEN_EINVAL. */
#define IOSPACE_READ      0x01u /* the device may read memory: as IOMMU_READ */
#define IOSPACE_WRITE     0x02u
#define IOSPACE_HANDLE    0x04u /* map: what is in u.map.handle */
#define IOSPACE_GREF      0x08u /* map: what is in u.map.grant; of a fault: that is filled in */
#define IOSPACE_NO_FLUSH  0x10u
#define IOSPACE_INTERRUPT 0x20u /* of a fault: it was an interrupt that was refused */
#define IOSPACE_LOST      0x40u /* of a fault: others since the last one told were lost */

#define IOSPACE_BATCH    32u  /* operations between two flushes of a call */
#define IOSPACE_PAGES    512u /* of one map or unmap, at most */
#define IOSPACE_WAITING  512u /* pages of a context, unmapped and not flushed, at most */
#define IOSPACE_CONTEXTS 32u  /* of a domain, number 0 included */
#define IOSPACE_FAULTS   16u  /* that wait to be told, at most */
#define VIRQ_IOSPACE     VIRQ_ARCH_7

/* IN sbdf (segment, bus, device, function, as XEN_DOMCTL_assign_device has it: segments other than 0 have no unit), a function of the caller's; what the
 * unit that it is behind can, and what the caller may have. -XEN_EPERM: it is not the caller's; -XEN_ENODEV: no unit has it. */
struct iospace_query {
	uint32_t sbdf;
	uint16_t address_bits;  /* OUT: DMA addresses are below 1 << this */
	uint16_t contexts_left; /* OUT */
	uint64_t
	    page_sizes; /* OUT: bit n: pages of 1 << n bytes are used where addresses and count allow it */
	uint32_t tables,
	    tables_left; /* OUT: pages of the hypervisor's memory that the caller's contexts take, and may take more */
};

/* A new context, empty, of the unit that function sbdf of the caller's is behind. -XEN_EPERM, -XEN_ENODEV as above, -XEN_ENOSPC: no
 * more contexts, -XEN_ENOMEM: no memory, or tables_left is too little. */
struct iospace_alloc {
	uint32_t sbdf;
	uint32_t context; /* OUT */
};

/* Its functions have left it: else -XEN_EBUSY. All that it maps is let go. -XEN_ENOENT: no such context; so in all that follows. */
struct iospace_free {
	uint32_t context;
};

/* A function of the caller's leaves the context it is in and joins this one (0: the default). On the return it reaches what that maps and nothing
 * else, and nothing of before is on its way. -XEN_EPERM; -XEN_EXDEV: it is behind another unit than the context's; -XEN_EEXIST:
 * the caller has mapped something where firmware wants memory for it (IOSPACE_reserved); -XEN_EBUSY: another function of
 * the caller's, which no unit can tell from this one (both are behind a bridge to conventional PCI), is in another context; -XEN_EIO: the unit does not
 * answer, and the function reaches what it did, or nothing. */
struct iospace_attach {
	uint32_t sbdf;
	uint32_t context;
};

/* Pages [dma, dma + count pages) lead to memory, with rights IOSPACE_READ, IOSPACE_WRITE or both. All or nothing. What memory:
 *	frame	count machine frames from this on, all the caller's own. For IOSPACE_WRITE none may be in use as a page or
 *		descriptor table, nor become one
 *	handle	(IOSPACE_HANDLE) of a grant that the caller has mapped with GNTMAP_device_map; count is 1. The handle may be
 *		unmapped at any time: the grant is in use until this is undone, too
 *	grant	(IOSPACE_GREF) an entry of that domain's, given to the caller; need not be mapped otherwise. count is 1
 * -XEN_EINVAL: count, dma (not of a page, or of no use: beyond address_bits, where writes are interrupts, or reserved), flags;
 * -XEN_EPERM: a frame is not the caller's, a handle is none of its device maps; -XEN_EACCES: the grant does not give that right, or not to the
 * caller; -XEN_ESRCH: no such domain; -XEN_EBUSY: in use as a table; -XEN_EEXIST: something is mapped there; -XEN_ENOMEM: no memory, or tables_left is 0;
 * -XEN_EIO: not mapped, and held until a flush succeeds, because the unit does not answer.
 * It is seen by the device on return; IOSPACE_NO_FLUSH has no effect. Context 0: -XEN_EACCES, also for unmap. */
struct iospace_map {
	uint32_t context;
	uint32_t count;
	uint64_t dma;
	union {
		uint64_t frame;
		uint32_t handle;
		struct {
			uint32_t ref;
			uint16_t domain, zero;
		} grant;
	};
};

/* Undoes maps, whole ones where pages larger than 4 KiB were used. -XEN_ENOENT, with nothing changed: a page of it is not mapped; -XEN_EINVAL:
 * it would cut a large one; -XEN_EIO: unmapped, but the unit does not answer: what it led to stays held until a flush succeeds. */
struct iospace_unmap {
	uint32_t context;
	uint32_t count;
	uint64_t dma;
};

/* Where dma leads: its frame, and its rights in flags; IOSPACE_GREF there: a grant's, and the frame is not told (0). -XEN_ENXIO: nowhere. */
struct iospace_lookup {
	uint32_t context;
	uint32_t zero;
	uint64_t dma;
	uint64_t frame; /* OUT */
};

/* After it devices see the context as it is, in a page (count is not looked at), in count pages, everywhere; and what was unmapped
 * there is let go. -XEN_EIO. Of context 0: nothing to do, 0. */
struct iospace_flush {
	uint32_t context;
	uint32_t count;
	uint64_t dma;
};

/* The oldest fault of a function of the caller's that was not told yet; VIRQ_IOSPACE (vCPU 0) came when it happened. flags:
 * IOSPACE_READ or IOSPACE_WRITE, what was tried; IOSPACE_GREF; IOSPACE_INTERRUPT: address is then an index; IOSPACE_LOST. -XEN_ENOENT: no more. */
struct iospace_fault {
	uint64_t address;
	uint32_t sbdf;
	uint16_t domain;  /* whose function it is: the caller's id */
	uint16_t granter; /* with IOSPACE_GREF: whose grant is mapped at that address */
	uint32_t ref;
	uint32_t context; /* that the function is in */
};

/* IN sbdf; OUT the index-th range of addresses that is refused in contexts that it can join, ascending for windows of the unit and then
 * what firmware keeps (flags: its rights; none for a window). -XEN_ENOENT: no more. */
struct iospace_reserved {
	uint32_t sbdf;
	uint32_t index;
	uint64_t start, end; /* OUT: bytes [start, end) */
};

struct iospace_op {
	uint16_t cmd;   /* IN: IOSPACE_* */
	uint16_t flags; /* IN; OUT where said */
	int32_t status; /* OUT: 0 or a negative XEN_Exxx. -XEN_ENOSYS: no such cmd */
	union {
		struct iospace_query query;
		struct iospace_alloc alloc;
		struct iospace_free free;
		struct iospace_attach attach;
		struct iospace_map map;
		struct iospace_unmap unmap;
		struct iospace_lookup lookup;
		struct iospace_flush flush;
		struct iospace_fault fault;
		struct iospace_reserved reserved;
	} u;
};

_Static_assert(sizeof(struct iospace_query) == 24, "query");
_Static_assert(sizeof(struct iospace_alloc) == 8, "alloc");
_Static_assert(sizeof(struct iospace_free) == 4, "free");
_Static_assert(sizeof(struct iospace_attach) == 8, "attach");
_Static_assert(sizeof(struct iospace_map) == 24, "map");
_Static_assert(sizeof(struct iospace_unmap) == 16, "unmap");
_Static_assert(sizeof(struct iospace_lookup) == 24, "lookup");
_Static_assert(sizeof(struct iospace_flush) == 16, "flush");
_Static_assert(sizeof(struct iospace_fault) == 24, "fault");
_Static_assert(sizeof(struct iospace_reserved) == 24, "reserved");
_Static_assert(sizeof(struct iospace_op) == 32 && offsetof(struct iospace_op, u) == 8, "op");
_Static_assert(offsetof(struct iospace_query, page_sizes) == 8 &&
		   offsetof(struct iospace_query, tables) == 16,
	       "query's layout");
_Static_assert(offsetof(struct iospace_map, dma) == 8 &&
		   offsetof(struct iospace_map, frame) == 16 &&
		   offsetof(struct iospace_map, grant.domain) == 20,
	       "map's layout");
_Static_assert(offsetof(struct iospace_fault, domain) == 12 &&
		   offsetof(struct iospace_fault, granter) == 14 &&
		   offsetof(struct iospace_fault, ref) == 16,
	       "fault's layout");

#endif

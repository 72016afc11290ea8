/* blkif.h: what blkfront and blkback both know of xen/io/blkif.h.
 *
 * The layouts of requests and responses, checked against the numbers of their ABIs, the limits that both
 * halves keep, and the names of virtual devices. Callers: both halves, the domain builder (device
 * numbers), tests. Pure functions; any context.
 *
 * Sectors are of 512 bytes in requests and in the node `sectors`, whatever `sector-size` says, as between
 * Linux's halves; only with a frontend that wrote feature-large-sector-size = 1 they are of sector-size.
 */
#ifndef AMPHI_BLKIF_H
#define AMPHI_BLKIF_H

#include <amphi/types.h>
#include <amphi/xen.h>
#include <xen/io/blkif.h>
#include <xen/io/protocols.h>

/* A request's part before its segments; a response. */
#define BLKIF_HEAD_BYTES   offsetof(struct blkif_request, seg)
#define BLKIF_SLOT_BYTES   sizeof(struct blkif_request)
#define BLKIF_SEGMENTS     BLKIF_MAX_SEGMENTS_PER_REQUEST
#define BLKIF_PAGE_SECTORS ((unsigned)(PAGE_SIZE / SECTOR_SIZE))

/* What ours offer and take: more in the other's node is a mistake or not meant for us. */
#define BLKIF_RING_ORDER_MAX    4u /* log2 of a ring's pages */
#define BLKIF_RING_PAGES_MAX    (1u << BLKIF_RING_ORDER_MAX)
#define BLKIF_RING_SLOTS_MAX    512u /* in a ring of so many pages, in either layout */
#define BLKIF_QUEUES_MAX        8u
#define BLKIF_INDIRECT_SEGMENTS 256u /* in one request: they fit one page */
#define BLKIF_INDIRECT_PER_PAGE ((unsigned)(PAGE_SIZE / sizeof(struct blkif_request_segment)))
_Static_assert(BLKIF_INDIRECT_SEGMENTS <= BLKIF_INDIRECT_PER_PAGE,
	       "one page of segments is enough");

/* x86_64-abi, the layout of this program's own structs. A segment is the same in every layout. */
_Static_assert(offsetof(struct blkif_request, nr_segments) == 1, "x86_64-abi");
_Static_assert(offsetof(struct blkif_request, handle) == 2, "x86_64-abi");
_Static_assert(offsetof(struct blkif_request, id) == 8, "x86_64-abi");
_Static_assert(offsetof(struct blkif_request, sector_number) == 16, "x86_64-abi");
_Static_assert(BLKIF_HEAD_BYTES == 24, "x86_64-abi");
_Static_assert(sizeof(struct blkif_request_segment) == 8, "every abi");
_Static_assert(BLKIF_SLOT_BYTES == 112, "x86_64-abi");
_Static_assert(sizeof(struct blkif_response) == 16, "x86_64-abi");
_Static_assert(offsetof(struct blkif_request_discard, flag) == 1, "x86_64-abi");
_Static_assert(offsetof(struct blkif_request_discard, id) == 8, "x86_64-abi");
_Static_assert(offsetof(struct blkif_request_discard, sector_number) == 16, "x86_64-abi");
_Static_assert(offsetof(struct blkif_request_discard, nr_sectors) == 24, "x86_64-abi");
_Static_assert(offsetof(struct blkif_request_indirect, indirect_op) == 1, "x86_64-abi");
_Static_assert(offsetof(struct blkif_request_indirect, nr_segments) == 2, "x86_64-abi");
_Static_assert(offsetof(struct blkif_request_indirect, id) == 8, "x86_64-abi");
_Static_assert(offsetof(struct blkif_request_indirect, sector_number) == 16, "x86_64-abi");
_Static_assert(offsetof(struct blkif_request_indirect, handle) == 24, "x86_64-abi");
_Static_assert(offsetof(struct blkif_request_indirect, indirect_grefs) == 28, "x86_64-abi");

/* x86_32-abi: 64-bit fields are aligned to 4, so id begins right after the first four bytes, what follows moves
 * with it, and nothing is rounded up to 8. */
struct blkif_request32 {
	uint8_t operation, nr_segments;
	blkif_vdev_t handle;
	uint64_t id, sector_number;
	struct blkif_request_segment seg[BLKIF_SEGMENTS];
} __attribute__((packed, aligned(4)));
struct blkif_response32 {
	uint64_t id;
	uint8_t operation, unused;
	int16_t status;
} __attribute__((packed, aligned(4)));
_Static_assert(offsetof(struct blkif_request32, id) == 4, "x86_32-abi");
_Static_assert(offsetof(struct blkif_request32, sector_number) == 12, "x86_32-abi");
_Static_assert(offsetof(struct blkif_request32, seg) == 20, "x86_32-abi");
_Static_assert(sizeof(struct blkif_request32) == 108, "x86_32-abi");
_Static_assert(offsetof(struct blkif_response32, status) == 10, "x86_32-abi");
_Static_assert(sizeof(struct blkif_response32) == 12, "x86_32-abi");

/* In every layout and every kind of request: operation, a byte and a 16-bit word from offset 0; id at id_at; the
 * sector behind it; and, behind that, at id_at + 16, the segments, or a discard's nr_sectors, or an indirect
 * request's handle, two bytes of nothing, and its references. A response: id, operation at 8, status at 10. */
struct blkif_layout {
	const char *protocol; /* value of the frontend's key of that name */
	uint8_t slot_bytes, id_at, response_bytes;
};
/* The layout of that name; of "" the native one, x86_64. NULL: none of ours. The answer lives for ever. */
const struct blkif_layout *blkif_layout(const char *protocol);

/* Name of a virtual device number ("xvda" for 51712, "xvda1" for 51713, "hda", "sda", "xvdaa" ...).
 * False when it is none that names a disk; then out is "vbdN". cap >= 16. */
bool blkif_vdev_name(unsigned vdev, char *out, size_t cap);

/* The inverse: "xvda", "hdb", "sdc2", "d3p1", or a plain number (decimal, 0x hexadecimal). */
bool blkif_vdev_number(const char *name, unsigned *out_vdev);

#endif

/* blkif.h: what blkfront and blkback both know of xen/io/blkif.h.
 *
 * The layout of requests and responses for the x86_64-abi, checked against the numbers of that
 * ABI, and the names of virtual devices. Callers: both halves, the domain builder (device numbers),
 * tests. Pure functions; any context. Not here: the 32-bit layouts, which are another table.
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

_Static_assert(offsetof(struct blkif_request, id) == 8, "x86_64-abi");
_Static_assert(offsetof(struct blkif_request, sector_number) == 16, "x86_64-abi");
_Static_assert(BLKIF_HEAD_BYTES == 24, "x86_64-abi");
_Static_assert(sizeof(struct blkif_request_segment) == 8, "x86_64-abi");
_Static_assert(BLKIF_SLOT_BYTES == 112, "x86_64-abi");
_Static_assert(sizeof(struct blkif_response) == 16, "x86_64-abi");

/* Name of a virtual device number ("xvda" for 51712, "xvda1" for 51713, "hda", "sda", "xvdaa" ...).
 * False when it is none that names a disk; then out is "vbdN". cap >= 16. */
bool blkif_vdev_name(unsigned vdev, char *out, size_t cap);

/* The inverse: "xvda", "hdb", "sdc2", "d3p1", or a plain number (decimal, 0x hexadecimal). */
bool blkif_vdev_number(const char *name, unsigned *out_vdev);

#endif

/* saved_guest.h: a small saved domain as bytes, and the means to spoil it; for tests of restore.
 *
 * SAVED_PFNS pages: a start info, rings, the page list, a GDT, one table of each level, data, and one hole. The
 * stream is what libxc of Xen 4.17 writes, with libxl's and xl's headers. Record by record it can be
 * found, changed, taken out and added to.
 */
#ifndef TESTS_SAVED_GUEST_H
#define TESTS_SAVED_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/stream.h"

#define SAVED_PFNS 40u

/* Who is who. Pages from SAVED_DATA on hold their number in each byte. */
enum {
	SAVED_START_INFO,
	SAVED_STORE,
	SAVED_CONSOLE,
	SAVED_LIST,
	SAVED_GDT,
	SAVED_L4,
	SAVED_L3,
	SAVED_L2,
	SAVED_L1,
	SAVED_DATA,
	SAVED_HOLE = 12,
};

struct saved {
	uint8_t *bytes;
	size_t len;
};

/* NULL: SAVED_JSON. A disk is "a.img" as xvda. */
#define SAVED_JSON                                                                                 \
	"{ \"c_info\": { \"type\": \"pv\", \"name\": \"s\" },\n"                                   \
	"  \"b_info\": { \"max_vcpus\": 2, \"avail_vcpus\": [ 0, 1 ], \"max_memkb\": 8192,\n"      \
	"    \"target_memkb\": 4096, \"claim_mode\": \"True\", \"type.pv\": { },\n"                \
	"    \"sched_params\": { \"weight\": 512, \"cap\": 50 },\n"                                \
	"    \"kernel\": \"/boot/k\", \"cmdline\": \"a=\\\"b\\\" c\" },\n"                         \
	"  \"disks\": [ { \"pdev_path\": \"a.img\", \"vdev\": \"xvda\", \"readwrite\": 1 } ],\n"   \
	"  \"on_reboot\": \"restart\", \"on_crash\": \"preserve\" }\n"

void saved_new(struct saved *s, const char *json);
/* With nothing behind its text: where records begin depends on the length of that. saved_find is not for it. */
void saved_new_unaligned(struct saved *s, const char *json);
void saved_free(struct saved *s);

/* The offset of the nth (from 0) record of a type in libxc's part; it must be there. */
size_t saved_find(const struct saved *s, uint32_t type, unsigned nth);

/* Its body, of which bytes may be changed. */
uint8_t *saved_body(const struct saved *s, uint32_t type, unsigned nth);

void saved_take_out(struct saved *s, uint32_t type, unsigned nth);

/* In front of what is at an offset. */
void saved_insert(struct saved *s, size_t at, uint32_t type, const void *body, uint32_t len);

/* The content of a page in the stream. */
void *saved_page(const struct saved *s, unsigned pfn);

/* Its number and type. */
uint64_t *saved_number(const struct saved *s, unsigned pfn);

#endif

/* save_guest.h: what a suspended PV domain is made of, in its own numbers; private to control/.
 *
 * User: save_stream.c. Implemented by save_guest.c over host_control.h. The domain stands still. All it
 * says of itself (its list of frames, the frames in its tables and registers) is checked against what the
 * hypervisor says is its own, and copied before it is looked at: its backends still write to its pages.
 * Errors: negative XEN_Exxx, with the reason told to control_fail().
 */
#ifndef CONTROL_SAVE_GUEST_H
#define CONTROL_SAVE_GUEST_H

#include <amphi/host_control.h>

#define SAVE_NO_FRAME 0xffffffffu

struct save_guest {
	const char *name; /* for messages */
	domid_t domid;
	unsigned vcpus; /* that it has, from 0 */
	mfn_t shared_info;
	uint64_t pfns;    /* its numbers are below */
	uint64_t present; /* how many of them have a frame */
	uint32_t *frames; /* of each number, or SAVE_NO_FRAME */
	unsigned frames_pages;
	unsigned list_pages; /* of the guest's own list */
	uint32_t *list;      /* their frames, in the list's order */
	unsigned list_alloc; /* pages of ours that this takes */
};

/* Reads the list of a suspended domain. g is zeroed but for name and domid, and whatever comes of it ended by
 * save_guest_drop(). */
int save_guest_read(struct save_guest *g);
void save_guest_drop(struct save_guest *g);

/* The domain's number of a frame. False: the frame is none of its own. */
bool save_guest_number(const struct save_guest *g, uint64_t frame, uint64_t *out_pfn);

/* Turns the frames in a copy of a page table of this level (1 to 4) into numbers. */
int save_guest_turn_table(const struct save_guest *g, unsigned level, uint64_t pfn,
			  uint64_t *entries);

/* A vCPU's context with its frames turned into numbers. -XEN_ENODATA: it is offline; not told. */
int save_guest_context(const struct save_guest *g, unsigned vcpu, struct vcpu_guest_context *out);

/* Copies one page of the domain, whatever its type. */
int save_guest_copy(const struct save_guest *g, mfn_t frame, void *out);

#endif

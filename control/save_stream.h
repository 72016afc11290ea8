/* save_stream.h: a suspended domain as a stream, a piece at a time; private to control/.
 *
 * User: control_save.c. Implemented by save_stream.c over save_guest.h, save_disk.h, stream.h. Worker context.
 */
#ifndef CONTROL_SAVE_STREAM_H
#define CONTROL_SAVE_STREAM_H

#include <amphi/domain_config.h>

#include "save_disk.h"
#include "save_guest.h"

/* What any piece fits into. */
#define SAVE_PIECE_BYTES ((size_t)(SAVE_RING_PAGES / 2) * PAGE_SIZE)

/* Roughly what a stream takes beside the pages: for the question whether a disk is large enough. */
#define SAVE_STREAM_SLACK (1u << 20)

enum save_stage {
	SAVE_HEADERS,
	SAVE_LIST,
	SAVE_PAGES,
	SAVE_SHARED,
	SAVE_VCPUS,
	SAVE_END, /* all is written */
};

struct save_stream {
	struct save_guest guest;
	struct save_disk disk;
	enum save_stage stage;
	uint64_t next;          /* page of the list, number, or vCPU, of the stage */
	uint64_t pages_written; /* with content */
	void *bounce;           /* a page */
	struct vcpu_guest_context context;
};

/* The guest has been read, the disk has room for SAVE_PIECE_BYTES. 0 or a negative XEN_Exxx that has been
 * told. */
int save_stream_piece(struct save_stream *s, const struct domain_config *config);

#endif

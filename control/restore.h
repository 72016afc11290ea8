/* restore.h: one domain while it is being made of a stream; private to control/restore*.c.
 *
 * restore.c reads the disk and has the domain's life, restore_domain.c makes and ends its making; restore_stream.c cuts bytes into records and says in
 * which order they may come; restore_memory.c makes pages of them, restore_vcpu.c what a vCPU is and finds
 * on waking, restore_config.c reads the configuration in front. All that a stream says is a stranger's
 * word: each function below checks what it is given. Results: 0 or a negative XEN_Exxx, told by
 * restore_fail. Worker context.
 */
#ifndef CONTROL_RESTORE_H
#define CONTROL_RESTORE_H

#include <amphi/domain_config.h>

#include "builder.h"
#include "stream.h"

/* The longest run of bytes that is looked at as a whole: the numbers of one PAGE_DATA, a vCPU's state. */
#define RESTORE_PIECE_MAX  16384u
#define RESTORE_CONFIG_MAX 65536u
#define RESTORE_WINDOW     64u /* pages of the domain that are mapped at a time */
#define RESTORE_ENTRIES    (PAGE_SIZE / sizeof(uint64_t))

/* One more than what is in PAGE_DATA: such a page has not come yet. */
#define RESTORE_UNSEEN 0x10u

enum restore_stage {
	RESTORE_HEADERS,
	RESTORE_STATIC, /* what there is before memory */
	RESTORE_LIST,   /* the list of pages comes next */
	RESTORE_PAGES,  /* all else, in any order */
	RESTORE_DONE,
};

struct restore;
typedef int restore_fn(struct restore *r, const uint8_t *piece);

/* A vCPU's records as they came; NULL: none. */
struct restore_blob {
	uint8_t *bytes;
	uint32_t len;
};

enum { RESTORE_BASIC, RESTORE_EXTENDED, RESTORE_XSAVE, RESTORE_MSRS, RESTORE_BLOBS };

struct restore {
	struct domain_config *config;    /* what is being made; its own copy */
	bool has_config;                 /* somebody gave it: that of the stream is passed over */
	int (*begin)(struct restore *r); /* the configuration is known */
	void *ctx;
	char why[BUILD_WHY_MAX];

	/* the stream */
	enum restore_stage stage;
	restore_fn *next;       /* takes the next `want` bytes */
	size_t want, have;      /* have: of a piece that came in parts, in buffer */
	bool anywhere;          /* the piece need not be aligned */
	uint64_t offset;        /* of the piece's first byte */
	uint64_t record_offset; /* of the record's header, or of the header that is being read */
	const char *what;       /* its name */
	struct stream_record record;
	uint32_t left; /* bytes of its body that are not read yet, padding and all */
	uint32_t version;
	uint32_t seen; /* bits of record types */
	uint8_t *buffer;

	/* the configuration's text, while it is read */
	char *text;
	uint32_t text_len, text_have;
	bool text_is_json;

	/* memory: a frame, and the type it has in the stream, of each pfn */
	struct domain_plan plan;
	struct built_domain built;
	struct build
	    build; /* build.frames is the p2m list, of n_pfns entries: MFN_NONE where there is nothing */
	uint8_t *types;
	uint64_t n_pfns;
	uint64_t *list; /* pfns of the pages of the guest's own list */
	uint64_t list_len, list_have;
	uint64_t batch[STREAM_BATCH_PAGES]; /* pfns and types of a PAGE_DATA */
	unsigned batch_len, batch_at;
	uint64_t wanted[STREAM_BATCH_PAGES],
	    extents[STREAM_BATCH_PAGES]; /* pfns that get frames now */
	unsigned n_wanted;
	mfn_t
	    window[RESTORE_WINDOW]; /* those of the batch that have content, mapped at window_va */
	void *window_va;
	unsigned window_len, window_at;

	/* the rest */
	struct restore_blob vcpus[CONFIG_MAX_VCPUS][RESTORE_BLOBS];
	struct shared_info *shared; /* a page */
	struct stream_tsc_info tsc;
};

/* Keeps "NAME: text, WHAT at byte N"; returns err. */
int restore_fail(struct restore *r, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- restore_domain.c -------------------------------------------------------------------------- */

/* The domain of r->config, paused and empty; r->build.created says that there is one to be ended, also after
 * an error. */
int restore_make_domain(struct restore *r);

/* After RESTORE_DONE: it can be unpaused when store and console know it. */
int restore_finish(struct restore *r);

/* ---- restore_stream.c --------------------------------------------------------------------------- */

/* r is zero but for its first members. -XEN_ENOMEM. */
int restore_open(struct restore *r);

/* The next len bytes of the stream. After RESTORE_DONE or an error nothing more is looked at. */
int restore_push(struct restore *r, const uint8_t *bytes, size_t len);

/* Frees and unmaps; the domain is not its business. */
void restore_close(struct restore *r);

/* The next piece: at most RESTORE_PIECE_MAX bytes, aligned to 8; or wherever it lies. */
void restore_want(struct restore *r, restore_fn *next, size_t want);
void restore_want_anywhere(struct restore *r, restore_fn *next, size_t want);
/* The record's body has been read; a next record follows. */
int restore_record_end(struct restore *r);

/* ---- restore_config.c ------------------------------------------------------------------------- */

/* text: len bytes, from a stream. JSON as libxl writes it, or a domain file. */
int restore_read_config(struct restore *r, const char *text, size_t len, bool is_json);

/* ---- restore_memory.c ------------------------------------------------------------------------- */

/* Bodies of records; they are followed by pieces. */
int restore_list_begin(struct restore *r);
int restore_pages_begin(struct restore *r);

/* All pages have come: none is missing, the guest's list is written, and its tables are pinned. */
int restore_finish_list(struct restore *r);
int restore_pin(struct restore *r);

void restore_unmap_window(struct restore *r);

/* The frame of a pfn, which must have this type; what: for the message. */
int restore_frame(struct restore *r, uint64_t pfn, unsigned type, const char *what, mfn_t *out);

/* ---- restore_vcpu.c --------------------------------------------------------------------------- */

/* Whole bodies, of the record's length. */
int restore_take_vcpu(struct restore *r, const uint8_t *body);
int restore_take_shared_info(struct restore *r, const uint8_t *body);
int restore_take_tsc(struct restore *r, const uint8_t *body);

/* What the guest finds: start info with its rings, shared page; its vCPUs. */
int restore_write_start_info(struct restore *r);
int restore_write_shared_info(struct restore *r);
int restore_set_tsc(struct restore *r);
int restore_set_vcpus(struct restore *r);
void restore_free_vcpus(struct restore *r);

#endif

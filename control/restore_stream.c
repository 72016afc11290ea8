/* restore_stream.c: bytes of a saved domain, cut into headers and records as control/stream.h lays them out.
 *
 * Bytes are pushed as the disk gives them, in parts of any length; a piece is what one step wants to see as
 * a whole, and is handed on in place when it lies in one part. The table of records says how long each may
 * be and when it may come, so that those that take their bodies need not ask. Pure but for what those do.
 * Caller: restore.c, the fuzzer. Calls restore_memory.c, restore_vcpu.c, restore_config.c.
 */
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "restore.h"

#define BYTES_ANY 0xffffffffu

int restore_fail(struct restore *r, int err, const char *fmt, ...)
{
	const char *name = r->config->name[0] ? r->config->name : "restore";
	size_t n = fmt_text(r->why, sizeof(r->why), "%s: ", name);
	va_list args;

	va_start(args, fmt);
	n += fmt_vtext(r->why + n, sizeof(r->why) - n, fmt, args);
	va_end(args);
	if (n < sizeof(r->why) && r->what)
		fmt_text(r->why + n, sizeof(r->why) - n, " (%s at byte %llu)", r->what,
			 (unsigned long long)r->record_offset);
	return err;
}

/* ---- pieces ------------------------------------------------------------------------------------ */

void restore_want(struct restore *r, restore_fn *next, size_t want)
{
	HOST_ASSERT(want <= RESTORE_PIECE_MAX);
	r->next = next;
	r->want = want;
	r->anywhere = false;
}

void restore_want_anywhere(struct restore *r, restore_fn *next, size_t want)
{
	restore_want(r, next, want);
	r->anywhere = true;
}

static bool is_aligned(const uint8_t *p)
{
	return (uintptr_t)p % sizeof(uint64_t) == 0;
}

/* All of a piece, or NULL when it does not lie in what is left of the part; then it is collected. A text of
 * any length stands in front, so that words are where they are; who reads words gets them aligned. */
static const uint8_t *take_piece(struct restore *r, const uint8_t **bytes, size_t *len)
{
	size_t part = MIN(*len, r->want - r->have);
	const uint8_t *from = *bytes;

	*bytes += part;
	*len -= part;
	if (part == r->want && (r->anywhere || !part || is_aligned(from)))
		return from;
	memcpy(r->buffer + r->have, from, part);
	r->have += part;
	if (r->have < r->want)
		return NULL;
	r->have = 0;
	return r->buffer;
}

/* A piece of no bytes is taken at once: it is how a step says that another follows it. */
int restore_push(struct restore *r, const uint8_t *bytes, size_t len)
{
	int err = 0;

	while (!err && r->stage != RESTORE_DONE) { /* each round eats a piece */
		const uint8_t *piece = take_piece(r, &bytes, &len);
		size_t want = r->want;

		if (!piece)
			return 0;
		err = r->next(r, piece);
		r->offset += want;
	}
	return err;
}

/* ---- bodies that are not looked at ------------------------------------------------------------ */

static restore_fn read_header, skip;

static int skip(struct restore *r, const uint8_t *piece)
{
	size_t want = MIN(r->left, RESTORE_PIECE_MAX);

	(void)piece;
	r->left -= want;
	restore_want(r, r->left ? skip : read_header, want);
	return 0;
}

/* The zeros behind a body, and then the next record. What they are is not looked at: the format says so. */
int restore_record_end(struct restore *r)
{
	r->left = stream_padding(r->record.body_bytes);
	return skip(r, NULL);
}

static int pass_over(struct restore *r)
{
	r->left = r->record.body_bytes + stream_padding(r->record.body_bytes);
	return skip(r, NULL);
}

/* ---- libxc's records -------------------------------------------------------------------------- */

static int take_pv_info(struct restore *r, const uint8_t *body)
{
	const struct stream_pv_info *i = (const void *)body;

	if (i->guest_width != 8 || i->pt_levels != 4)
		return restore_fail(r, -XEN_EOPNOTSUPP, "a guest of %u bits", i->guest_width * 8);
	/* Before version 3 no record says that the static part is over. */
	if (r->version == STREAM_IMAGE_V2)
		r->stage = RESTORE_LIST;
	return 0;
}

static int static_end(struct restore *r)
{
	if (!(r->seen & 1u << STREAM_PV_INFO))
		return restore_fail(r, -XEN_EINVAL, "no PV_INFO before it");
	r->stage = RESTORE_LIST;
	return restore_record_end(r);
}

static int end(struct restore *r);

/* begin: takes the body by pieces of its own. whole: is given all of it, which is at most `most` bytes. once:
 * a second is refused; vCPUs look for themselves. */
static const struct kind {
	const char *name;
	uint32_t least, most;
	enum restore_stage first, last;
	bool once;
	int (*begin)(struct restore *r);
	restore_fn *whole;
} kinds[] = {
    [STREAM_END] = {"END", 0, 0, RESTORE_PAGES, RESTORE_PAGES, true, end, NULL},
    [STREAM_PAGE_DATA] = {"PAGE_DATA", 16, STREAM_RECORD_MAX, RESTORE_PAGES, RESTORE_PAGES, false,
			  restore_pages_begin, NULL},
    [STREAM_PV_INFO] = {"PV_INFO", 8, 8, RESTORE_STATIC, RESTORE_STATIC, true, NULL, take_pv_info},
    [STREAM_PV_P2M_FRAMES] = {"PV_P2M_FRAMES", 16, STREAM_RECORD_MAX, RESTORE_LIST, RESTORE_LIST,
			      true, restore_list_begin, NULL},
    [STREAM_VCPU_BASIC] = {"VCPU_BASIC", 8, RESTORE_PIECE_MAX, RESTORE_PAGES, RESTORE_PAGES, false,
			   NULL, restore_take_vcpu},
    [STREAM_VCPU_EXTENDED] = {"VCPU_EXTENDED", 8, 8 + STREAM_EXTENDED_MAX, RESTORE_PAGES,
			      RESTORE_PAGES, false, NULL, restore_take_vcpu},
    [STREAM_VCPU_XSAVE] = {"VCPU_XSAVE", 8, RESTORE_PIECE_MAX, RESTORE_PAGES, RESTORE_PAGES, false,
			   NULL, restore_take_vcpu},
    [STREAM_SHARED_INFO] = {"SHARED_INFO", PAGE_SIZE, PAGE_SIZE, RESTORE_PAGES, RESTORE_PAGES, true,
			    NULL, restore_take_shared_info},
    [STREAM_TSC_INFO] = {"TSC_INFO", sizeof(struct stream_tsc_info), sizeof(struct stream_tsc_info),
			 RESTORE_PAGES, RESTORE_PAGES, true, NULL, restore_take_tsc},
    [STREAM_VCPU_MSRS] = {"VCPU_MSRS", 8, RESTORE_PIECE_MAX, RESTORE_PAGES, RESTORE_PAGES, false,
			  NULL, restore_take_vcpu},
    [STREAM_STATIC_END] = {"STATIC_DATA_END", 0, 0, RESTORE_STATIC, RESTORE_STATIC, true,
			   static_end, NULL},
    /* What the CPU of the machine was that it ran on. Ours is what it is: there is no migration to
     * another, and amphi-hv has no policies. */
    [STREAM_CPUID_POLICY] = {"CPUID_POLICY", 0, 1u << 16, RESTORE_STATIC, RESTORE_STATIC, true,
			     pass_over, NULL},
    [STREAM_MSR_POLICY] = {"MSR_POLICY", 0, 1u << 16, RESTORE_STATIC, RESTORE_STATIC, true,
			   pass_over, NULL},
};

static int check_record(struct restore *r, const struct kind *k)
{
	uint32_t len = r->record.body_bytes;

	if (r->stage < k->first || r->stage > k->last)
		return restore_fail(r, -XEN_EINVAL, "it stands out of order");
	if (k->once && (r->seen & 1u << r->record.type))
		return restore_fail(r, -XEN_EINVAL, "there was one already");
	if (len < k->least || len > k->most)
		return restore_fail(r, -XEN_EINVAL, "it is of %u bytes", len);
	r->seen |= 1u << r->record.type;
	return 0;
}

static int take_whole(struct restore *r, const uint8_t *body)
{
	int err = kinds[r->record.type].whole(r, body);

	return err ? err : restore_record_end(r);
}

static int begin_record(struct restore *r, const uint8_t *piece)
{
	uint32_t type;
	const struct kind *k;
	int err;

	memcpy(&r->record, piece, sizeof(r->record));
	type = r->record.type;
	if (r->record.body_bytes > STREAM_RECORD_MAX)
		return restore_fail(r, -XEN_EINVAL, "it is of %u bytes", r->record.body_bytes);
	if (type & STREAM_OPTIONAL)
		return pass_over(r);
	k = &kinds[MIN(type, ARRAY_SIZE(kinds) - 1)];
	if (type >= ARRAY_SIZE(kinds) || !k->name)
		return restore_fail(r, -XEN_EOPNOTSUPP, "of the unknown type %u", type);
	r->what = k->name;
	err = check_record(r, k);
	if (err || k->begin)
		return err ? err : k->begin(r);
	restore_want(r, take_whole, r->record.body_bytes);
	return 0;
}

static int read_header(struct restore *r, const uint8_t *piece)
{
	(void)piece;
	/* The step before has eaten its bytes when this one runs, but is counted only afterwards. */
	r->record_offset = r->offset + r->want;
	r->what = "a record";
	restore_want(r, begin_record, sizeof(struct stream_record));
	return 0;
}

/* ---- headers ---------------------------------------------------------------------------------- */

static void want_header(struct restore *r, const char *what, restore_fn *next, size_t bytes)
{
	r->record_offset = r->offset + r->want;
	r->what = what;
	restore_want(r, next, bytes);
}

static int read_domain_header(struct restore *r, const uint8_t *piece)
{
	const struct stream_domain_header *h = (const void *)piece;

	if (h->type != STREAM_DOMAIN_X86_PV)
		return restore_fail(r, -XEN_EOPNOTSUPP, "a domain of type %u, which is not PV",
				    h->type);
	if (h->page_shift != PAGE_SHIFT)
		return restore_fail(r, -XEN_EINVAL, "pages of 2^%u bytes", h->page_shift);
	r->stage = RESTORE_STATIC;
	return read_header(r, NULL);
}

static int read_image_header(struct restore *r, const uint8_t *piece)
{
	const struct stream_image_header *h = (const void *)piece;

	r->version = stream_be32(h->version);
	if (h->marker != STREAM_IMAGE_MARKER || stream_be32(h->id) != STREAM_IMAGE_ID)
		return restore_fail(r, -XEN_EINVAL, "no stream of libxc's");
	if (r->version != STREAM_IMAGE_V2 && r->version != STREAM_IMAGE_V3)
		return restore_fail(r, -XEN_EOPNOTSUPP, "of version %u", r->version);
	if (h->options)
		return restore_fail(r, -XEN_EOPNOTSUPP, "of another byte order");
	want_header(r, "libxc's domain header", read_domain_header,
		    sizeof(struct stream_domain_header));
	return 0;
}

/* Of libxl's records a PV domain has two, and the second is the end. */
static int read_xl_record(struct restore *r, const uint8_t *piece)
{
	memcpy(&r->record, piece, sizeof(r->record));
	if (r->record.type != STREAM_XL_LIBXC || r->record.body_bytes)
		return restore_fail(r, -XEN_EOPNOTSUPP, "of type %u", r->record.type);
	want_header(r, "libxc's header", read_image_header, sizeof(struct stream_image_header));
	return 0;
}

static int read_xl_end(struct restore *r, const uint8_t *piece)
{
	memcpy(&r->record, piece, sizeof(r->record));
	if (r->record.type != STREAM_XL_END || r->record.body_bytes)
		return restore_fail(r, -XEN_EOPNOTSUPP, "of type %u behind libxc's part",
				    r->record.type);
	r->stage = RESTORE_DONE;
	return 0;
}

static int end(struct restore *r)
{
	want_header(r, "libxl's record", read_xl_end, sizeof(struct stream_record));
	return 0;
}

static int read_xl_format(struct restore *r, const uint8_t *piece)
{
	const struct stream_xl_format *h = (const void *)piece;

	if (memcmp(h->ident, STREAM_XL_FORMAT_IDENT, sizeof(h->ident)) != 0)
		return restore_fail(r, -XEN_EINVAL, "no stream of libxl's");
	if (stream_be32(h->version) != STREAM_XL_FORMAT_VERSION || h->options)
		return restore_fail(r, -XEN_EOPNOTSUPP, "of version %u, options 0x%x",
				    stream_be32(h->version), stream_be32(h->options));
	want_header(r, "libxl's record", read_xl_record, sizeof(struct stream_record));
	return 0;
}

/* ---- xl's part -------------------------------------------------------------------------------- */

/* The configuration is known, and so is all that a domain's making needs. */
static int begin_domain(struct restore *r, const uint8_t *piece)
{
	int err = 0;

	(void)piece;
	if (!r->has_config && !r->text)
		return restore_fail(r, -XEN_EINVAL, "no configuration in it, and none given");
	if (!r->has_config)
		err = restore_read_config(r, r->text, r->text_len, r->text_is_json);
	if (!err)
		err = r->begin(r);
	if (!err)
		want_header(r, "libxl's header", read_xl_format, sizeof(struct stream_xl_format));
	return err;
}

/* What follows the text is for readers that know more. */
static int skip_optional(struct restore *r, const uint8_t *piece)
{
	size_t want = MIN(r->left, RESTORE_PIECE_MAX);

	(void)piece;
	r->left -= want;
	restore_want(r, r->left ? skip_optional : begin_domain, want);
	return 0;
}

static int read_text(struct restore *r, const uint8_t *piece)
{
	size_t want = MIN(r->text_len - r->text_have, RESTORE_PIECE_MAX);

	memcpy(r->text + r->text_have, piece, r->want);
	r->text_have += r->want;
	want = MIN(r->text_len - r->text_have, RESTORE_PIECE_MAX);
	if (!want)
		return skip_optional(r, NULL);
	restore_want(r, read_text, want);
	return 0;
}

static int read_text_len(struct restore *r, const uint8_t *piece)
{
	memcpy(&r->text_len, piece, sizeof(r->text_len));
	if (!r->text_len || r->text_len > r->left || r->text_len > RESTORE_CONFIG_MAX)
		return restore_fail(r, -XEN_EINVAL, "a configuration of %u bytes in %u",
				    r->text_len, r->left);
	r->text = host_alloc(r->text_len);
	if (!r->text)
		return restore_fail(r, -XEN_ENOMEM, "no memory for its configuration");
	r->left -= r->text_len;
	restore_want(r, read_text, MIN(r->text_len, RESTORE_PIECE_MAX));
	return 0;
}

static int read_xl_header(struct restore *r, const uint8_t *piece)
{
	const struct stream_xl_header *h = (const void *)piece;
	uint32_t known = STREAM_XL_FLAG_JSON | STREAM_XL_FLAG_V2;

	if (memcmp(h->magic, STREAM_XL_MAGIC, sizeof(h->magic)) != 0)
		return restore_fail(r, -XEN_EINVAL, "no saved domain, or not all of one");
	if (h->byte_order != STREAM_XL_BYTE_ORDER)
		return restore_fail(r, -XEN_EOPNOTSUPP, "of another byte order");
	if ((h->mandatory_flags & ~known) || !(h->mandatory_flags & STREAM_XL_FLAG_V2))
		return restore_fail(r, -XEN_EOPNOTSUPP, "flags 0x%x", h->mandatory_flags);
	r->text_is_json = h->mandatory_flags & STREAM_XL_FLAG_JSON;
	r->left = h->optional_bytes;
	if (r->left > sizeof(uint32_t) && !r->has_config) {
		r->left -= sizeof(uint32_t);
		restore_want(r, read_text_len, sizeof(uint32_t));
		return 0;
	}
	return skip_optional(r, NULL);
}

/* ---- the whole -------------------------------------------------------------------------------- */

int restore_open(struct restore *r)
{
	r->buffer = host_alloc(RESTORE_PIECE_MAX);
	r->shared = host_alloc(PAGE_SIZE);
	if (!r->buffer || !r->shared)
		return restore_fail(r, -XEN_ENOMEM, "no memory to read it");
	want_header(r, "xl's header", read_xl_header, sizeof(struct stream_xl_header));
	return 0;
}

void restore_close(struct restore *r)
{
	restore_unmap_window(r);
	restore_free_vcpus(r);
	if (r->build.frames)
		host_pages_free(r->build.frames, r->build.frames_pages);
	if (r->types)
		host_pages_free(r->types, (unsigned)PAGES_FOR(r->n_pfns));
	if (r->list)
		host_pages_free(r->list, (unsigned)PAGES_FOR(r->list_len * sizeof(*r->list)));
	host_free(r->text, r->text_len);
	host_free(r->shared, PAGE_SIZE);
	host_free(r->buffer, RESTORE_PIECE_MAX);
	r->build.frames = NULL;
	r->types = NULL;
	r->list = NULL;
	r->text = NULL;
	r->shared = NULL;
	r->buffer = NULL;
}

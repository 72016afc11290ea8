/* saved_guest.c: makes the stream of saved_guest.h.
 *
 * Numbers are not aligned in a stream (a text of any length stands in front); here the text is padded so
 * that they are, and tests that want it otherwise push the bytes from another address. Callers: restore_test,
 * restore_fuzz. Calls the C library.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saved_guest.h"

#define PAGE 4096u

static void put(struct saved *s, const void *bytes, size_t len)
{
	s->bytes = realloc(s->bytes, s->len + len + 1);
	if (bytes)
		memcpy(s->bytes + s->len, bytes, len);
	else
		memset(s->bytes + s->len, 0, len);
	s->len += len;
}

static void put_record(struct saved *s, uint32_t type, const void *body, uint32_t len)
{
	put(s, &(struct stream_record){type, len}, sizeof(struct stream_record));
	put(s, body, len);
	put(s, NULL, stream_padding(len));
}

/* ---- headers ----------------------------------------------------------------------------------- */

static void put_headers(struct saved *s, const char *json, bool padded)
{
	uint32_t text = (uint32_t)strlen(json) + 1, pad = padded ? -(text + 4) & 7 : 0;
	struct stream_xl_header xl = {
	    .byte_order = STREAM_XL_BYTE_ORDER,
	    .mandatory_flags = STREAM_XL_FLAG_JSON | STREAM_XL_FLAG_V2,
	    .optional_bytes = 4 + text + pad,
	};
	struct stream_xl_format format = {.version = stream_be32(STREAM_XL_FORMAT_VERSION)};
	struct stream_image_header image = {
	    .marker = STREAM_IMAGE_MARKER,
	    .id = stream_be32(STREAM_IMAGE_ID),
	    .version = stream_be32(STREAM_IMAGE_V3),
	};
	struct stream_domain_header domain = {STREAM_DOMAIN_X86_PV, 12, 0, 4, 17};

	memcpy(xl.magic, STREAM_XL_MAGIC, sizeof(xl.magic));
	memcpy(format.ident, STREAM_XL_FORMAT_IDENT, sizeof(format.ident));
	put(s, &xl, sizeof(xl));
	put(s, &text, sizeof(text));
	put(s, json, text);
	put(s, NULL, pad);
	put(s, &format, sizeof(format));
	put_record(s, STREAM_XL_LIBXC, NULL, 0);
	put(s, &image, sizeof(image));
	put(s, &domain, sizeof(domain));
}

/* ---- memory ------------------------------------------------------------------------------------ */

static unsigned type_of(unsigned pfn)
{
	switch (pfn) {
	case SAVED_L4:
		return 4 | STREAM_PAGE_PINNED;
	case SAVED_L3:
	case SAVED_L2:
	case SAVED_L1:
		return SAVED_L1 + 1 - pfn;
	case SAVED_HOLE:
		return STREAM_PAGE_NONE;
	default:
		return STREAM_PAGE_PLAIN;
	}
}

/* Everything is mapped from address 0 on, tables read-only. */
static void fill_table(uint64_t *table, unsigned pfn)
{
	if (pfn != SAVED_L1) {
		table[0] = (uint64_t)(pfn + 1) << 12 | 7;
		return;
	}
	for (unsigned i = 0; i < SAVED_PFNS; i++)
		if (i != SAVED_HOLE)
			table[i] = (uint64_t)i << 12 | (i >= SAVED_L4 && i <= SAVED_L1 ? 5 : 7);
}

static void put_page(struct saved *s, unsigned pfn)
{
	union {
		uint8_t bytes[PAGE];
		uint64_t table[PAGE / 8];
		struct start_info si;
	} page;

	memset(&page, pfn >= SAVED_DATA ? (int)pfn : 0, sizeof(page));
	if (pfn >= SAVED_L4 && pfn <= SAVED_L1)
		fill_table(page.table, pfn);
	if (pfn == SAVED_START_INFO) {
		page.si.store_mfn = SAVED_STORE;
		page.si.console.domU.mfn = SAVED_CONSOLE;
		page.si.flags = 0x55;
	}
	put(s, &page, sizeof(page));
}

/* In two records, tables first, so that they name what has not come yet. */
static void put_pages(struct saved *s, unsigned first, unsigned end)
{
	struct stream_record header = {STREAM_PAGE_DATA, 8};
	struct stream_page_data data = {.count = end - first};

	for (unsigned i = first; i < end; i++)
		header.body_bytes += i == SAVED_HOLE ? 8 : 8 + PAGE;
	put(s, &header, sizeof(header));
	put(s, &data, sizeof(data));
	for (unsigned i = first; i < end; i++)
		put(s, &(uint64_t){i | (uint64_t)type_of(i) << STREAM_TYPE_SHIFT}, 8);
	for (unsigned i = first; i < end; i++)
		if (i != SAVED_HOLE)
			put_page(s, i);
}

/* ---- the rest ---------------------------------------------------------------------------------- */

static void put_vcpu(struct saved *s, unsigned vcpu)
{
	struct {
		struct stream_vcpu v;
		struct vcpu_guest_context c;
	} basic = {{vcpu, 0}, {.gdt_ents = 512}};
	struct {
		struct stream_vcpu v;
		uint8_t e[64];
	} extended = {{vcpu, 0}, {(uint8_t)vcpu, 0, 0, 0, 64}};

	basic.c.user_regs.rip = 0x1000 + vcpu;
	basic.c.user_regs.rdx = vcpu ? 77 : SAVED_START_INFO;
	basic.c.gdt_frames[0] = SAVED_GDT;
	basic.c.ctrlreg[3] = SAVED_L4 << 12;
	basic.c.ctrlreg[1] = SAVED_L4 << 12 | 1;
	put_record(s, STREAM_VCPU_BASIC, &basic, sizeof(basic));
	put_record(s, STREAM_VCPU_EXTENDED, &extended, sizeof(extended));
}

static void make(struct saved *s, const char *json, bool padded)
{
	struct stream_pv_info info = {8, 4, {0}};
	struct {
		struct stream_p2m_frames f;
		uint64_t pfn;
	} list = {{0, SAVED_PFNS - 1}, SAVED_LIST};
	struct stream_tsc_info tsc = {.mode = 0, .khz = 1};
	uint8_t policy[40] = {0}, shared[PAGE] = {0};

	*s = (struct saved){0};
	memset(shared, 0x33, sizeof(struct shared_info));
	put_headers(s, json ? json : SAVED_JSON, padded);
	put_record(s, STREAM_PV_INFO, &info, sizeof(info));
	put_record(s, STREAM_CPUID_POLICY, policy, 24);
	put_record(s, STREAM_MSR_POLICY, policy, 16);
	put_record(s, STREAM_STATIC_END, NULL, 0);
	put_record(s, STREAM_PV_P2M_FRAMES, &list, sizeof(list));
	put_pages(s, SAVED_L4, SAVED_PFNS);
	put_pages(s, 0, SAVED_L4);
	put_record(s, STREAM_TSC_INFO, &tsc, sizeof(tsc));
	put_record(s, STREAM_SHARED_INFO, shared, sizeof(shared));
	put_vcpu(s, 0);
	put_vcpu(s, 1);
	put_record(s, STREAM_END, NULL, 0);
	put_record(s, STREAM_XL_END, NULL, 0);
}

void saved_new(struct saved *s, const char *json)
{
	make(s, json, true);
}

void saved_new_unaligned(struct saved *s, const char *json)
{
	make(s, json, false);
}

void saved_free(struct saved *s)
{
	free(s->bytes);
	*s = (struct saved){0};
}

/* ---- looking and spoiling ----------------------------------------------------------------------- */

static struct stream_record *record_at(const struct saved *s, size_t at)
{
	return (struct stream_record *)(void *)(s->bytes + at);
}

static size_t whole(const struct stream_record *r)
{
	return sizeof(*r) + r->body_bytes + stream_padding(r->body_bytes);
}

size_t saved_find(const struct saved *s, uint32_t type, unsigned nth)
{
	const struct stream_xl_header *xl = (const void *)s->bytes;
	size_t at = sizeof(*xl) + xl->optional_bytes + sizeof(struct stream_xl_format) +
		    sizeof(struct stream_record) + sizeof(struct stream_image_header) +
		    sizeof(struct stream_domain_header);

	while (at < s->len) { /* each round passes a record */
		const struct stream_record *r = record_at(s, at);

		if (r->type == type && nth-- == 0)
			return at;
		at += whole(r);
	}
	fprintf(stderr, "no record of type %u\n", type);
	abort();
}

uint8_t *saved_body(const struct saved *s, uint32_t type, unsigned nth)
{
	return s->bytes + saved_find(s, type, nth) + sizeof(struct stream_record);
}

void saved_take_out(struct saved *s, uint32_t type, unsigned nth)
{
	size_t at = saved_find(s, type, nth), len = whole(record_at(s, at));

	memmove(s->bytes + at, s->bytes + at + len, s->len - at - len);
	s->len -= len;
}

void saved_insert(struct saved *s, size_t at, uint32_t type, const void *body, uint32_t len)
{
	struct saved all = {0};

	put(&all, s->bytes, at);
	put_record(&all, type, body, len);
	put(&all, s->bytes + at, s->len - at);
	free(s->bytes);
	*s = all;
}

static unsigned record_of(unsigned pfn, unsigned *out_index)
{
	*out_index = pfn >= SAVED_L4 ? pfn - SAVED_L4 : pfn;
	return pfn >= SAVED_L4 ? 0 : 1;
}

uint64_t *saved_number(const struct saved *s, unsigned pfn)
{
	unsigned i, nth = record_of(pfn, &i);

	return (uint64_t *)(void *)(saved_body(s, STREAM_PAGE_DATA, nth) + 8) + i;
}

void *saved_page(const struct saved *s, unsigned pfn)
{
	unsigned i, nth = record_of(pfn, &i), count = nth ? SAVED_L4 : SAVED_PFNS - SAVED_L4;

	return saved_body(s, STREAM_PAGE_DATA, nth) + 8 + count * 8 +
	       (size_t)(i - (pfn > SAVED_HOLE)) * PAGE;
}

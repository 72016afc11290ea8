/* save_reader.c: the reader of save_reader.h.
 *
 * Pages and tables are compared with copies that were made before the save: a table must have the guest's numbers where
 * it had frames, and the same bits. Caller: control_save_test.c. Calls the fake hypervisor, cmocka.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../control/stream.h"
#include "fake_control.h"
#include "save_reader.h"

struct save_reader reader;
static const uint8_t *at, *end;
static uint8_t *copies[READER_PAGES]; /* of the domain's memory, before it was saved */
static uint64_t old_list[READER_PAGES];
static struct vcpu_guest_context old_context;
static uint8_t old_shared[PAGE_SIZE];

void reader_remember(domid_t domid, const uint64_t *list)
{
	struct fake_domain *d = fake_domain(domid);

	memcpy(old_list, list, sizeof(old_list));
	old_context = d->context;
	memcpy(old_shared, fake_frame(d->shared_info), PAGE_SIZE);
	for (unsigned i = 0; i < READER_PAGES; i++) {
		free(copies[i]);
		copies[i] = calloc(1, PAGE_SIZE);
		if (old_list[i] < 1u << 20)
			memcpy(copies[i], fake_frame((mfn_t){old_list[i]}), PAGE_SIZE);
	}
	memset(reader.seen, 0, sizeof(reader.seen));
	reader.tables = reader.pinned = 0;
}

static const void *take(size_t len)
{
	const uint8_t *here = at;

	at += len;
	return here;
}

/* The text in front has any length, and all behind it is aligned to it. */
static void align(void)
{
	static uint64_t copy[2 * READER_PAGES * PAGE_SIZE / sizeof(uint64_t)];

	assert_true((size_t)(end - at) <= sizeof(copy));
	memcpy(copy, at, (size_t)(end - at));
	at = (const uint8_t *)copy;
}

static const void *take_record(enum stream_type type, uint32_t *out_len)
{
	const struct stream_record *r = take(sizeof(*r));
	const uint8_t *body = at;

	if (r->type != type)
		fail_msg("record %#x, wanted %#x", r->type, type);
	*out_len = r->body_bytes;
	take(r->body_bytes + stream_padding(r->body_bytes));
	return body;
}

static void check_table(uint64_t pfn, const uint64_t *now)
{
	const uint64_t *old = (const uint64_t *)copies[pfn];

	for (unsigned i = 0; i < 512; i++) {
		uint64_t number = (now[i] & 0x000ffffffffff000ull) >> PAGE_SHIFT;

		assert_int_equal(now[i] & 0xfff, old[i] & 0xfff);
		if (now[i] & 1)
			assert_int_equal(old_list[number],
					 (old[i] & 0x000ffffffffff000ull) >> PAGE_SHIFT);
	}
}

static void check_batch(void)
{
	uint32_t len;
	const struct stream_page_data *p = take_record(STREAM_PAGE_DATA, &len);
	const uint64_t *pfns = (const void *)(p + 1);
	const uint8_t *page = (const void *)(pfns + p->count);

	assert_int_equal(len, sizeof(*p) + p->count * (8 + PAGE_SIZE));
	for (unsigned i = 0; i < p->count; i++, page += PAGE_SIZE) {
		uint64_t pfn = pfns[i] & STREAM_PFN_MASK, type = pfns[i] >> STREAM_TYPE_SHIFT;

		assert_in_range(pfn, 0, READER_PAGES - 1);
		reader.seen[pfn]++;
		reader.tables += type != 0;
		reader.pinned += type == (STREAM_PAGE_PINNED | 4);
		if (type)
			check_table(pfn, (const void *)page);
		else
			assert_memory_equal(page, copies[pfn], PAGE_SIZE);
	}
}

void reader_front(const uint8_t *disk, size_t len_bytes)
{
	const struct stream_xl_header *h;
	const struct stream_p2m_frames *f;
	const uint64_t *pages;
	uint32_t len;

	at = disk;
	end = disk + len_bytes;
	h = take(sizeof(*h));
	assert_memory_equal(h->magic, STREAM_XL_MAGIC, 32);
	assert_int_equal(h->mandatory_flags, STREAM_XL_FLAG_V2);
	assert_int_equal(*(const uint32_t *)at + 4, h->optional_bytes);
	assert_int_equal(strlen((const char *)at + 4) + 5, h->optional_bytes);
	assert_memory_equal(at + 4, "name = \"g\"\n", 11);
	take(h->optional_bytes);
	align();
	assert_memory_equal(take(16), "LibxlFmt\0\0\0\2\0\0\0\0", 16);
	(void)take_record(STREAM_PAGE_DATA, &len); /* 1, as libxl's for libxc */
	assert_int_equal(len, 0);
	assert_memory_equal(take(24),
			    "\xff\xff\xff\xff\xff\xff\xff\xffXENF\0\0\0\3\0\0\0\0\0\0\0\0", 24);
	assert_memory_equal(take(16), "\1\0\0\0\14\0\0\0\4\0\0\0\21\0\0\0", 16);
	assert_memory_equal(take_record(STREAM_PV_INFO, &len), "\10\4\0\0\0\0\0\0", 8);
	(void)take_record(STREAM_STATIC_END, &len);
	f = take_record(STREAM_PV_P2M_FRAMES, &len);
	assert_int_equal(len, 8 + 8 * READER_PAGES / 512);
	assert_int_equal(f->start_pfn, 0);
	assert_int_equal(f->end_pfn, READER_PAGES - 1);
	pages = (const void *)(f + 1);
	for (unsigned i = 0; i < READER_PAGES / 512; i++)
		assert_memory_equal(copies[pages[i]], (char *)old_list + i * PAGE_SIZE, PAGE_SIZE);
}

/* Those that the hypervisor keeps, as long as they are and not as they could be. */
static void check_states(void)
{
	uint32_t len;
	const uint8_t *x = reader.xsave_bytes ? take_record(STREAM_VCPU_XSAVE, &len) : NULL;
	const xen_domctl_vcpu_msr_t *m;

	if (x) {
		assert_int_equal(len, 8 + reader.xsave_bytes);
		assert_memory_equal(x, "\0\0\0\0\0\0\0\0\x33\x33", 10);
		assert_int_equal(x[len - 1], 0x33);
	}
	m = reader.msrs ? take_record(STREAM_VCPU_MSRS, &len) : NULL;
	if (m) {
		assert_int_equal(len, 8 + reader.msrs * sizeof(*m));
		m = (const void *)((const uint8_t *)m + 8);
		assert_int_equal(m[reader.msrs - 1].index, 0x100 + reader.msrs - 1);
		assert_int_equal(m[reader.msrs - 1].value, reader.msrs - 1);
	}
}

void reader_back(void)
{
	uint32_t len;
	const struct stream_vcpu *v;
	const struct vcpu_guest_context *c;

	assert_memory_equal(take_record(STREAM_SHARED_INFO, &len), old_shared, PAGE_SIZE);
	assert_int_equal(len, PAGE_SIZE);
	v = take_record(STREAM_VCPU_BASIC, &len);
	assert_int_equal(len, sizeof(*v) + sizeof(*c));
	assert_int_equal(v->vcpu, 0);
	c = (const void *)(v + 1);
	assert_int_equal(c->user_regs.rip, 0x1234);
	assert_int_equal(old_list[c->user_regs.rdx], reader.start_frame.v);
	assert_int_equal(xen_pfn_to_cr3(old_list[xen_cr3_to_pfn(c->ctrlreg[3])]),
			 old_context.ctrlreg[3]);
	assert_int_equal(c->ctrlreg[1], 0);
	check_states();
	(void)take_record(STREAM_END, &len);
	assert_int_equal(len, 0);
	(void)take_record((enum stream_type)STREAM_XL_END, &len);
	assert_int_equal(len, 0);
}

void reader_pages(void)
{
	while (*(const uint32_t *)at == STREAM_PAGE_DATA)
		check_batch();
}

void reader_all(const uint8_t *disk, size_t len)
{
	reader_front(disk, len);
	reader_pages();
	reader_back();
	for (unsigned i = 0; i < READER_PAGES; i++)
		assert_int_equal(reader.seen[i], 1);
	assert_true(reader.tables > 4);
	assert_int_equal(reader.pinned, 1);
}

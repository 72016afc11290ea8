/* save_fuzz.c: a suspended guest that has written anything into its list of frames, its tables, its shared page and its
 * registers, is saved.
 *
 * Why: all that a save goes by is memory of the guest's, which the service domain reads. The input is a list of changes to a good
 * guest of the builder's. Expected: no sanitizer report; a save that is refused leaves no mapping; one that is not
 * gives a stream in which each page is below the last and comes once, and each table names pages of the guest's only.
 *
 * links: control/save_*.c control/config_text.c control/domain_builder.c control/builder_*.c lib/start_layout.c
 * links: lib/error_name.c lib/elf.c lib/printf.c lib/text.c
 * links: unpack/unpack.c unpack/gzip.c unpack/gzip_fast.c unpack/gzip_trees.c unpack/xz.c unpack/zstd.c unpack/lz4.c
 * links: tests/host/fake_control.c tests/host/fake_versions.c tests/host/fake_kernel.c tests/host/mock_host.c
 * links: tests/host/mock_share.c tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c
 */
#include <stdlib.h>
#include <string.h>

#include "control/control_private.h"
#include "control/save_stream.h"
#include "control/stream.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/host/fake_control.h"
#include "tests/host/mock_host.h"

#define PAGES   1200u
#define ENTRIES 512u

static struct built_domain built;
static struct start_info start;

int control_fail(int err, const char *fmt, ...)
{
	if (!err || !fmt[0])
		abort();
	return err;
}

/* ---- the guest ------------------------------------------------------------------------------ */

static struct fake_domain *domain(void)
{
	return fake_domain(built.domid);
}

/* The guest's list, where it is and as it was: what is changed is not walked by us. */
static uint64_t frames[PAGES], *list[DIV_ROUND_UP(PAGES, ENTRIES)];

static void find_list(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
		mfn_t m;

		if (!fake_guest_frame(built.domid, start.mfn_list + i * PAGE_SIZE, &m))
			abort();
		list[i] = fake_frame(m);
	}
	for (unsigned pfn = 0; pfn < PAGES; pfn++)
		frames[pfn] = list[pfn / ENTRIES][pfn % ENTRIES];
}

static void make_guest(void)
{
	struct domain_plan plan = {.name = "g",
				   .kernel_name = "k",
				   .cmdline = "",
				   .memory_kib = PAGES * 4,
				   .max_memory_kib = PAGES * 4,
				   .max_vcpus = 1};
	char why[BUILD_WHY_MAX];
	struct arch_shared_info *arch;

	plan.kernel = fake_kernel(&plan.kernel_bytes);
	if (domain_build(&plan, &built, why))
		abort();
	if (!fake_guest_read(built.domid, domain()->context.user_regs.rsi, &start, sizeof(start)))
		abort();
	arch = &((struct shared_info *)fake_frame(domain()->shared_info))->arch;
	arch->max_pfn = PAGES;
	arch->p2m_vaddr = start.mfn_list;
	arch->p2m_cr3 = xen_pfn_to_cr3(domain()->pinned.v);
	find_list();
	domain()->context.user_regs.rdx = frames[3];
}

/* Any number, one of a frame of the guest's, or near the limits. */
static uint64_t value(struct input *in)
{
	switch (take(in, 1) % 4) {
	case 0:
		return take(in, 8);
	case 1:
		return frames[take(in, 2) % PAGES];
	case 2:
		return frames[take(in, 2) % PAGES] << PAGE_SHIFT | 0x67;
	default:
		return take(in, 2) - 8;
	}
}

static void change(struct input *in)
{
	struct shared_info *shared = fake_frame(domain()->shared_info);
	struct vcpu_guest_context *c = &domain()->context;
	unsigned kind = (unsigned)take(in, 1);
	uint64_t at = take(in, 2), v = value(in);
	uint64_t *words[] = {
	    &shared->arch.p2m_cr3,   &shared->arch.p2m_vaddr,
	    &shared->arch.max_pfn,   &c->user_regs.rdx,
	    &c->ctrlreg[3],          &c->ctrlreg[1],
	    &c->gdt_frames[at % 16], &c->gdt_ents,
	};

	if (kind < 32)
		*words[kind % ARRAY_SIZE(words)] = v;
	else if (kind < 128) /* of the list */
		list[at % ARRAY_SIZE(list)][at / ARRAY_SIZE(list) % ENTRIES] = v;
	else /* of any page, tables among them */
		((uint64_t *)fake_frame((mfn_t){frames[at % PAGES]}))[kind * 4 % ENTRIES] = v;
}

/* ---- the stream ----------------------------------------------------------------------------- */

static void check_table(const struct save_guest *g, const uint64_t *table)
{
	for (unsigned i = 0; i < ENTRIES; i++) {
		uint64_t pfn = (table[i] & 0x000ffffffffff000ull) >> PAGE_SHIFT;

		if ((table[i] & 1) && (pfn >= g->pfns || g->frames[pfn] == SAVE_NO_FRAME))
			abort();
	}
}

static void check_batch(const struct save_guest *g, const uint8_t *body, uint8_t *seen)
{
	const struct stream_page_data *p = (const void *)body;
	const uint64_t *pfns = (const void *)(p + 1);
	static uint64_t table[ENTRIES];

	for (unsigned i = 0; i < p->count; i++) {
		uint64_t pfn = pfns[i] & STREAM_PFN_MASK, type = pfns[i] >> STREAM_TYPE_SHIFT;

		if (pfn >= g->pfns || seen[pfn]++)
			abort();
		memcpy(table, (const uint8_t *)(pfns + p->count) + i * PAGE_SIZE, PAGE_SIZE);
		if (type)
			check_table(g, table);
	}
}

static void check_stream(const struct save_guest *g, const uint8_t *disk, size_t len)
{
	const struct stream_xl_header *h = (const void *)disk;
	size_t skip = sizeof(*h) + h->optional_bytes + sizeof(struct stream_xl_format) +
		      sizeof(struct stream_record) + sizeof(struct stream_image_header) +
		      sizeof(struct stream_domain_header);
	uint8_t *copy = malloc(len - skip), *at = copy, *seen = calloc(1, g->pfns);
	const struct stream_record *r;

	memcpy(copy, disk + skip, len - skip);
	for (;; at += sizeof(*r) + r->body_bytes + stream_padding(r->body_bytes)) {
		r = (const void *)at;
		if ((size_t)(at - copy) + sizeof(*r) + r->body_bytes > len - skip)
			abort();
		if (r->type == STREAM_PAGE_DATA)
			check_batch(g, at + sizeof(*r), seen);
		if (r->type == STREAM_END)
			break;
	}
	free(seen);
	free(copy);
}

/* ---- a save, as control_save.c does it ------------------------------------------------------ */

static void moved(void *ctx)
{
	(void)ctx;
}

static void save(struct save_stream *s, const struct domain_config *config)
{
	struct mock_disk *disk = mock_disk_new("d", (PAGES * 2 + 256) * 8);
	int err = 0;

	disk->dev.max_segments = 32;
	if (save_guest_read(&s->guest))
		return;
	if (save_disk_open(&s->disk, &disk->dev, moved, NULL))
		abort();
	while (!err && !s->disk.err && s->stage != SAVE_END)
		err = save_stream_piece(s, config);
	save_disk_finish(&s->disk);
	if (!err && s->disk.step == SAVE_DISK_DONE)
		check_stream(&s->guest, disk->data, (size_t)disk->dev.sectors * SECTOR_SIZE);
	save_disk_close(&s->disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct domain_config config = {.name = "g", .kernel = "k", .memory_mib = 4};
	struct input in = {data, data + size};
	struct save_stream *s = calloc(1, sizeof(*s));

	mock_reset();
	fake_reset(PAGES + 100);
	make_guest();
	while (in.at < in.end) /* each round eats a change */
		change(&in);
	s->guest.name = "g";
	s->guest.domid = built.domid;
	s->bounce = host_pages_alloc(1);
	save(s, &config);
	save_guest_drop(&s->guest);
	host_pages_free(s->bounce, 1);
	free(s);
	domain_destroy(built.domid);
	fake_expect_nothing_left();
	if (!mock_nothing_left(0))
		abort();
	return 0;
}

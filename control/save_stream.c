/* save_stream.c: the records of a saved domain, in the order that libxc's reader needs them.
 *
 * One function a stage; each call writes one piece that fits into what the disk takes at once. A record's length stands
 * in front, so a batch of pages is asked for its types first, and mapped, copied and turned when the
 * length is known. There is no record of the vCPUs' XSAVE areas where the hypervisor keeps none (amphi-hv has FXSAVE,
 * which is in the context), and none of the TSC: a reader then gives the domain its file's tsc_mode.
 * Caller: control_save.c. Calls save_guest.h, save_disk.h, config_text.h. Worker context.
 */
#include <amphi/host.h>
#include <amphi/string.h>

#include "config_text.h"
#include "control_private.h"
#include "save_stream.h"
#include "stream.h"

#define BATCH_PAGES      32u
#define LIST_PIECE       1024u
#define CONFIG_TEXT_MAX  (SAVE_PIECE_BYTES / 2)
#define STATE_MAX        ((size_t)64 << 10) /* of a vCPU's: AVX-512 and all that is with it takes 3 KiB */
#define PFINFO_TYPE(t)   ((uint32_t)(t) >> 28)
#define PAGE_LEVEL(type) ((type) & ~STREAM_PAGE_PINNED)

static void put(struct save_stream *s, const void *bytes, size_t len)
{
	save_disk_put(&s->disk, bytes, len);
}

static void put_record(struct save_stream *s, enum stream_type type, size_t body_bytes)
{
	put(s, &(struct stream_record){type, (uint32_t)body_bytes}, sizeof(struct stream_record));
}

static void put_padding(struct save_stream *s, size_t body_bytes)
{
	put(s, &(uint64_t){0}, stream_padding((uint32_t)body_bytes));
}

static void next_stage(struct save_stream *s)
{
	s->stage++;
	s->next = 0;
}

/* ---- what is in front ----------------------------------------------------------------------- */

static int put_config(struct save_stream *s, const struct domain_config *config)
{
	struct stream_xl_header h = {.byte_order = STREAM_XL_BYTE_ORDER,
				     .mandatory_flags = STREAM_XL_FLAG_V2};
	char *text = host_alloc(CONFIG_TEXT_MAX);
	uint32_t len;

	if (!text)
		return control_fail(-XEN_ENOMEM, "%s: no memory to save it", s->guest.name);
	len = (uint32_t)domain_config_text(config, text, CONFIG_TEXT_MAX) + 1; /* with its NUL */
	if (len <= CONFIG_TEXT_MAX) {
		memcpy(h.magic, STREAM_XL_MAGIC, sizeof(h.magic));
		h.optional_bytes = sizeof(len) + len;
		put(s, &h, sizeof(h));
		put(s, &len, sizeof(len));
		put(s, text, len);
	}
	host_free(text, CONFIG_TEXT_MAX);
	return len <= CONFIG_TEXT_MAX
		   ? 0
		   : control_fail(-XEN_E2BIG, "%s: its file is too long", s->guest.name);
}

static void put_formats(struct save_stream *s)
{
	struct stream_xl_format xl = {.version = stream_be32(STREAM_XL_FORMAT_VERSION)};
	struct stream_image_header image = {.marker = STREAM_IMAGE_MARKER,
					    .id = stream_be32(STREAM_IMAGE_ID),
					    .version = stream_be32(STREAM_IMAGE_V3)};
	struct stream_domain_header domain = {.type = STREAM_DOMAIN_X86_PV,
					      .page_shift = PAGE_SHIFT};
	struct host_versions versions;

	memcpy(xl.ident, STREAM_XL_FORMAT_IDENT, sizeof(xl.ident));
	host_read_versions(&versions);
	domain.xen_major = versions.major;
	domain.xen_minor = versions.minor;
	put(s, &xl, sizeof(xl));
	put(s, &(struct stream_record){STREAM_XL_LIBXC, 0}, sizeof(struct stream_record));
	put(s, &image, sizeof(image));
	put(s, &domain, sizeof(domain));
}

static int put_headers(struct save_stream *s, const struct domain_config *config)
{
	int err = put_config(s, config);

	if (err)
		return err;
	put_formats(s);
	put_record(s, STREAM_PV_INFO, sizeof(struct stream_pv_info));
	put(s, &(struct stream_pv_info){.guest_width = 8, .pt_levels = 4},
	    sizeof(struct stream_pv_info));
	put_record(s, STREAM_STATIC_END, 0);
	next_stage(s);
	return 0;
}

/* ---- where the list of frames is ------------------------------------------------------------ */

static void put_list_record(struct save_stream *s)
{
	const struct save_guest *g = &s->guest;

	put_record(s, STREAM_PV_P2M_FRAMES,
		   sizeof(struct stream_p2m_frames) + g->list_pages * sizeof(uint64_t));
	put(s, &(struct stream_p2m_frames){0, (uint32_t)(g->pfns - 1)},
	    sizeof(struct stream_p2m_frames));
}

static int put_list(struct save_stream *s)
{
	uint64_t end = MIN(s->next + LIST_PIECE, s->guest.list_pages), pfn;

	if (!s->next)
		put_list_record(s);
	for (; s->next < end; s->next++) {
		if (!save_guest_number(&s->guest, s->guest.list[s->next], &pfn))
			return control_fail(-XEN_EINVAL, "%s: its list of frames changes",
					    s->guest.name);
		put(s, &pfn, sizeof(pfn));
	}
	if (s->next == s->guest.list_pages)
		next_stage(s);
	return 0;
}

/* ---- pages ---------------------------------------------------------------------------------- */

struct batch {
	unsigned n, filled;        /* entries, and those that have content */
	uint64_t pfn[BATCH_PAGES]; /* with its type, as the stream has it */
	xen_pfn_t frame[BATCH_PAGES];
	mfn_t map[BATCH_PAGES];
	unsigned type[BATCH_PAGES];
};

static void gather(struct save_stream *s, struct batch *b)
{
	const struct save_guest *g = &s->guest;

	for (b->n = 0; s->next < g->pfns && b->n < BATCH_PAGES; s->next++) {
		if (g->frames[s->next] == SAVE_NO_FRAME)
			continue;
		b->pfn[b->n] = s->next;
		b->frame[b->n++] = g->frames[s->next];
	}
}

/* Frames that are not the domain's, or have no content, leave the batch: a number that a stream does not name is
 * one without a frame. The call writes its answers over the frames. */
static int ask_types(const struct save_guest *g, struct batch *b)
{
	struct xen_domctl op = {.cmd = XEN_DOMCTL_getpageframeinfo3, .domain = g->domid};
	xen_pfn_t answer[BATCH_PAGES];
	int err;

	memcpy(answer, b->frame, sizeof(answer));
	op.u.getpageframeinfo3.num = b->n;
	set_xen_guest_handle(op.u.getpageframeinfo3.array, answer);
	err = host_domctl(&op);
	if (err)
		return control_fail(err, "%s: its pages' types cannot be read", g->name);
	b->filled = 0;
	for (unsigned i = 0; i < b->n; i++) {
		unsigned type = PFINFO_TYPE(answer[i]), to = b->filled;

		if (type >= STREAM_PAGE_BROKEN)
			continue;
		b->type[to] = type;
		b->pfn[to] = b->pfn[i] | (uint64_t)type << STREAM_TYPE_SHIFT;
		b->map[to] = (mfn_t){b->frame[i]};
		b->filled++;
	}
	return 0;
}

static int put_page(struct save_stream *s, const struct batch *b, unsigned i, const void *page)
{
	unsigned level = PAGE_LEVEL(b->type[i]);
	int err;

	if (!level) {
		put(s, page, PAGE_SIZE);
		return 0;
	}
	memcpy(s->bounce, page, PAGE_SIZE);
	err = save_guest_turn_table(&s->guest, level, b->pfn[i] & STREAM_PFN_MASK, s->bounce);
	if (!err)
		put(s, s->bounce, PAGE_SIZE);
	return err;
}

static int put_batch(struct save_stream *s, const struct batch *b)
{
	size_t body = sizeof(struct stream_page_data) + b->filled * (sizeof(uint64_t) + PAGE_SIZE);
	const void *view;
	int err = host_foreign_view(s->guest.domid, b->map, b->filled, &view);

	if (err)
		return control_fail(err, "%s: its memory cannot be read at page 0x%llx",
				    s->guest.name,
				    (unsigned long long)(b->pfn[0] & STREAM_PFN_MASK));
	put_record(s, STREAM_PAGE_DATA, body);
	put(s, &(struct stream_page_data){b->filled, 0}, sizeof(struct stream_page_data));
	put(s, b->pfn, b->filled * sizeof(uint64_t));
	for (unsigned i = 0; !err && i < b->filled; i++)
		err = put_page(s, b, i, (const char *)view + i * PAGE_SIZE);
	host_foreign_unmap(view, b->filled);
	s->pages_written += b->filled;
	return err;
}

static int put_pages(struct save_stream *s)
{
	struct batch b;
	int err;

	gather(s, &b);
	if (!b.n) {
		next_stage(s);
		return 0;
	}
	err = ask_types(&s->guest, &b);
	return err || !b.filled ? err : put_batch(s, &b);
}

/* ---- what is behind ------------------------------------------------------------------------- */

static int put_shared(struct save_stream *s)
{
	int err = save_guest_copy(&s->guest, s->guest.shared_info, s->bounce);

	if (err)
		return control_fail(err, "%s: its shared page cannot be read", s->guest.name);
	put_record(s, STREAM_SHARED_INFO, PAGE_SIZE);
	put(s, s->bounce, PAGE_SIZE);
	next_stage(s);
	return 0;
}

/* A hypervisor that has no such state says so, and the record is left out. */
static void put_extended(struct save_stream *s, const struct stream_vcpu *vcpu)
{
	struct xen_domctl op = {.cmd = XEN_DOMCTL_get_ext_vcpucontext, .domain = s->guest.domid};
	struct xen_domctl_ext_vcpucontext *e = &op.u.ext_vcpucontext;
	size_t len = MIN(sizeof(*e), STREAM_EXTENDED_MAX);

	e->vcpu = vcpu->vcpu;
	if (host_domctl(&op))
		return;
	put_record(s, STREAM_VCPU_EXTENDED, sizeof(*vcpu) + len);
	put(s, vcpu, sizeof(*vcpu));
	put(s, e, len);
	put_padding(s, sizeof(*vcpu) + len);
}

/* One whose length comes in two steps: what it can be at most, and what it is. buffer is NULL in the first. */
struct vcpu_state {
	enum stream_type type;
	const char *name;
	size_t unit;
	int (*get)(domid_t domid, uint32_t vcpu, void *buffer, uint64_t *count);
};

/* The second call tells how much of the buffer it has used. */
static int get_xsave(domid_t domid, uint32_t vcpu, void *buffer, uint64_t *count)
{
	struct xen_domctl op = {.cmd = XEN_DOMCTL_getvcpuextstate, .domain = domid};
	struct xen_domctl_vcpuextstate *x = &op.u.vcpuextstate;
	int err;

	x->vcpu = vcpu;
	err = host_domctl(&op);
	if (!err && buffer) {
		x->size = *count;
		set_xen_guest_handle(x->buffer, buffer);
		err = host_domctl(&op);
	}
	*count = x->size;
	return err;
}

static int get_msrs(domid_t domid, uint32_t vcpu, void *buffer, uint64_t *count)
{
	struct xen_domctl op = {.cmd = XEN_DOMCTL_get_vcpu_msrs, .domain = domid};
	struct xen_domctl_vcpu_msrs *m = &op.u.vcpu_msrs;
	int err;

	m->vcpu = vcpu;
	m->msr_count = (uint32_t)*count;
	set_xen_guest_handle(m->msrs, buffer);
	err = host_domctl(&op);
	*count = m->msr_count;
	return err;
}

static const struct vcpu_state states[] = {
    {STREAM_VCPU_XSAVE, "extended state", 1, get_xsave},
    {STREAM_VCPU_MSRS, "MSRs", sizeof(struct xen_domctl_vcpu_msr), get_msrs},
};

/* A hypervisor that keeps none refuses the first call; an empty one is left out. */
static int put_state(struct save_stream *s, const struct vcpu_state *state,
		     const struct stream_vcpu *vcpu)
{
	uint64_t most = 0, count;
	size_t len;
	void *buffer;
	int err;

	if (state->get(s->guest.domid, vcpu->vcpu, NULL, &most) || !most)
		return 0;
	buffer = most <= STATE_MAX / state->unit ? host_alloc(most * state->unit) : NULL;
	if (!buffer)
		return control_fail(-XEN_ENOMEM, "%s: no memory to save it", s->guest.name);
	count = most;
	err = state->get(s->guest.domid, vcpu->vcpu, buffer, &count);
	len = MIN(count, most) * state->unit;
	if (!err && len) {
		put_record(s, state->type, sizeof(*vcpu) + len);
		put(s, vcpu, sizeof(*vcpu));
		put(s, buffer, len);
		put_padding(s, sizeof(*vcpu) + len);
	}
	host_free(buffer, most * state->unit);
	return err ? control_fail(err, "%s: vCPU %u: its %s cannot be read", s->guest.name,
				  vcpu->vcpu, state->name)
		   : 0;
}

static int put_vcpu(struct save_stream *s)
{
	struct stream_vcpu vcpu = {(uint32_t)s->next, 0};
	size_t body = sizeof(vcpu) + sizeof(s->context);
	int err;

	if (s->next == s->guest.vcpus) {
		next_stage(s);
		put_record(s, STREAM_END, 0);
		put(s, &(struct stream_record){STREAM_XL_END, 0}, sizeof(struct stream_record));
		return 0;
	}
	err = save_guest_context(&s->guest, vcpu.vcpu, &s->context);
	s->next++;
	if (err == -XEN_ENODATA)
		return 0;
	if (err)
		return err;
	put_record(s, STREAM_VCPU_BASIC, body);
	put(s, &vcpu, sizeof(vcpu));
	put(s, &s->context, sizeof(s->context));
	put_padding(s, body);
	put_extended(s, &vcpu);
	for (unsigned i = 0; !err && i < ARRAY_SIZE(states); i++)
		err = put_state(s, &states[i], &vcpu);
	return err;
}

int save_stream_piece(struct save_stream *s, const struct domain_config *config)
{
	switch (s->stage) {
	case SAVE_HEADERS:
		return put_headers(s, config);
	case SAVE_LIST:
		return put_list(s);
	case SAVE_PAGES:
		return put_pages(s);
	case SAVE_SHARED:
		return put_shared(s);
	case SAVE_VCPUS:
		return put_vcpu(s);
	default:
		return 0;
	}
}

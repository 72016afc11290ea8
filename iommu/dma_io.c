/* dma_io.c: a device's own addresses, in a space that the hypervisor keeps and we fill by hypercalls.
 *
 * Called by dma.c, and by the host when grants go. Calls host_iospace.h, which checks nothing that the hypervisor does not. A list is planned here, address by address, and
 * then mapped by one call, all or none. What is unmapped waits in a list, too: strict, to the end of the request's; lazy, until there are DMA_LAZY_MAX, and for
 * that long the device still reaches it.
 *
 *	the window               pages of ours, wherever there is room
 *	behind it, GRANT_BYTES   granted pages, each at the place that its window in our memory has among the windows
 *
 * Functions that no unit can tell apart have one space of the hypervisor's, and each has these two at a place of its own in it (dma_window.h). So a granted page needs no search, and no hypercall but its first: it stays as long as the grant is mapped, which for a persistent one is long. It is in with the rights that
 * the grant has: its owner gave us no less. A device that does not reach so high, or is not trusted, has granted pages among the others, for a request each.
 */
#include <amphi/host.h>
#include <amphi/host_iospace.h>

#include "dma_layer.h"
#include "dma_window.h"

#define GRANT_BYTES ((uint64_t)HOST_GRANT_WINDOWS * PAGE_SIZE)
_Static_assert(DMA_WINDOW_BYTES + GRANT_BYTES <= DMA_WINDOW_STRIDE, "apart from the next");
_Static_assert(DMA_WINDOW + (DMA_WINDOW_PLACES - 1) * DMA_WINDOW_STRIDE <= 0xfee00000ull,
	       "writes there are interrupts");
_Static_assert(DMA_LAZY_MAX == HOST_IOSPACE_BATCH, "what waits is one call");

struct dma_io {
	struct dma_io *next;
	uint32_t space;
	bool lazy;
	bool keeps_grants; /* else they are mapped as our own pages are */
	struct dma_tally tally;
	unsigned n_waiting, n_kept;
	uint64_t grants;                /* where the first of them is */
	uint64_t waiting[DMA_LAZY_MAX]; /* addresses that nobody uses, mapped still */
	uint64_t kept[HOST_GRANT_WINDOWS / 64u];
	struct dma_window window;
};

static struct dma_io *spaces;
static enum dma_policy policy; /* DIRECT: there are no spaces to be had */

/* What one list adds: worker context alone, and empty between calls. */
static struct {
	unsigned n;
	struct host_iospace_page pages[HOST_IOSPACE_BATCH];
} plan;

static bool is_kept(const struct dma_io *s, unsigned window)
{
	return s->kept[window / 64] >> window % 64 & 1;
}

static void set_kept(struct dma_io *s, unsigned window, bool on)
{
	s->kept[window / 64] ^= 1ull << window % 64;
	s->n_kept += on ? 1 : ~0u;
}

static bool is_grant(const struct dma_io *s, uint64_t at)
{
	return s->keeps_grants && at >= s->grants && at < s->grants + GRANT_BYTES;
}

/* ---- out ------------------------------------------------------------------------------------------- */

/* While the device may still reach what an address led to, it is given to nobody. */
static int flush_waiting(struct dma_io *s)
{
	unsigned n = s->n_waiting;
	int err = n ? host_iospace_unmap(s->space, s->waiting, n) : 0;

	s->n_waiting = 0;
	s->tally.flushes += n != 0;
	if (err) {
		host_log(HOST_LOG_ERROR, "dma: %u addresses from %llx on are not unmapped: %s", n,
			 (unsigned long long)s->waiting[0],
			 err == -XEN_ENOENT ? "one was not mapped" : "no answer");
		return err;
	}
	for (unsigned i = 0; i < n; i++)
		dma_window_give(&s->window, dma_window_page(&s->window, s->waiting[i]));
	s->tally.unmaps += n;
	return 0;
}

static int unmap_one(struct dma_io *s, uint64_t at)
{
	if (is_grant(s, at))
		return 0; /* it goes with its grant */
	s->waiting[s->n_waiting++] = at & PAGE_MASK;
	return s->n_waiting == DMA_LAZY_MAX ? flush_waiting(s) : 0;
}

static int unmap(const struct dma_device *dev, const struct dma_extent *all, unsigned n)
{
	struct dma_io *s = dev->state;
	int err = 0, last;

	for (unsigned i = 0; i < n; i++) {
		int now = unmap_one(s, all[i].at.v);

		err = err ? err : now;
	}
	last = s->lazy ? 0 : flush_waiting(s);
	return err ? err : last;
}

void dma_io_drain(void)
{
	for (struct dma_io *s = spaces; s; s = s->next)
		(void)flush_waiting(s);
}

static int take_out(struct dma_io *s, const uint16_t *windows, unsigned count)
{
	uint64_t at[HOST_GRANTS_LEAVING];
	unsigned n = 0;
	int err;

	for (unsigned i = 0; i < count; i++) {
		if (!is_kept(s, windows[i]))
			continue;
		set_kept(s, windows[i], false);
		at[n++] = s->grants + (uint64_t)windows[i] * PAGE_SIZE;
	}
	if (!n)
		return 0;
	err = host_iospace_unmap(s->space, at, n);
	s->tally.flushes++;
	s->tally.unmaps += n;
	if (err)
		host_log(HOST_LOG_ERROR, "dma: granted pages stay in a space: error %d", err);
	return err;
}

/* No request is in flight on them any more: who unmaps a grant sees to that. Where they are not kept, they are among what waits, if anywhere. */
static void grants_leave(const uint16_t *windows, unsigned count)
{
	for (struct dma_io *s = spaces; s; s = s->next)
		if (s->n_kept)
			(void)take_out(s, windows, count);
		else if (!s->keeps_grants)
			(void)flush_waiting(s);
}

/* ---- in -------------------------------------------------------------------------------------------- */

static bool take(struct dma_io *s, unsigned count, unsigned align, unsigned *out_page)
{
	if (dma_window_take(&s->window, count, align, out_page))
		return true;
	(void)flush_waiting(s);
	return dma_window_take(&s->window, count, align, out_page);
}

static void add(uint64_t dma, const void *va, unsigned rights)
{
	plan.pages[plan.n++] = (struct host_iospace_page){
	    .dma = dma, .va = (const void *)((uintptr_t)va & PAGE_MASK), .rights = rights};
}

static int add_grant(struct dma_io *s, const void *va, unsigned window, unsigned rights,
		     dma_addr_t *out_addr)
{
	out_addr->v = s->grants + (uint64_t)window * PAGE_SIZE + ((uintptr_t)va & ~PAGE_MASK);
	if (is_kept(s, window))
		return 0;
	add(out_addr->v & PAGE_MASK, va, rights);
	set_kept(s, window, true);
	return 0;
}

static unsigned rights_of(enum dma_direction dir)
{
	return (dir & DMA_TO_DEVICE ? HOST_IOSPACE_READ : 0) |
	       (dir & DMA_FROM_DEVICE ? HOST_IOSPACE_WRITE : 0);
}

/* A device that may write a page may read it, too: what it would find there it has been given, by the same owner. */
static int add_piece(struct dma_io *s, const void *va, enum dma_direction dir, dma_addr_t *out_addr)
{
	unsigned window, page;
	bool readonly;

	if (host_grant_window(va, &window, &readonly)) {
		if (readonly && dir & DMA_FROM_DEVICE)
			return -XEN_EPERM;
		if (s->keeps_grants)
			return add_grant(s, va, window,
					 HOST_IOSPACE_READ | (readonly ? 0 : HOST_IOSPACE_WRITE),
					 out_addr);
	}
	if (!take(s, 1, 1, &page))
		return -XEN_ENOSPC;
	out_addr->v = dma_window_address(&s->window, page) + ((uintptr_t)va & ~PAGE_MASK);
	add(out_addr->v & PAGE_MASK, va, rights_of(dir));
	return 0;
}

/* Nothing of it is mapped: the addresses go back, but for those that the unit may know of. */
static void forget_plan(struct dma_io *s, bool unseen)
{
	for (unsigned i = 0; i < plan.n; i++) {
		uint64_t at = plan.pages[i].dma;

		if (is_grant(s, at))
			set_kept(s, (unsigned)((at - s->grants) >> PAGE_SHIFT), false);
		else if (unseen)
			dma_window_give(&s->window, dma_window_page(&s->window, at));
	}
}

static int carry_out(struct dma_io *s, int err)
{
	if (!err && plan.n)
		err = host_iospace_map(s->space, plan.pages, plan.n);
	if (err)
		forget_plan(s, err != -XEN_EIO);
	else
		s->tally.maps += plan.n;
	plan.n = 0;
	return err;
}

static int map(const struct dma_device *dev, struct dma_piece *pieces, unsigned n,
	       enum dma_direction dir)
{
	struct dma_io *s = dev->state;
	unsigned i, done = 0; /* done: by calls before */
	int err = 0;

	for (i = 0; i < n && !err; i++) {
		err = add_piece(s, pieces[i].va, dir, &pieces[i].at);
		if (err || plan.n < HOST_IOSPACE_BATCH)
			continue;
		err = carry_out(s, 0);
		done = err ? done : i + 1;
	}
	err = carry_out(s, err);
	for (i = 0; err && i < done; i++)
		(void)unmap_one(s, pieces[i].at.v);
	return err;
}

/* ---- shared pages ---------------------------------------------------------------------------------- */

/* Side by side for the device, wherever they lie in the machine. */
static void *share(const struct dma_device *dev, unsigned count, unsigned align_pages,
		   dma_addr_t *out_addr)
{
	struct dma_io *s = dev->state;
	char *pages;
	unsigned page;

	if (count > HOST_IOSPACE_BATCH)
		return NULL;
	pages = host_pages_alloc(count);
	if (!pages || !take(s, count, align_pages, &page))
		goto out_pages;
	for (unsigned i = 0; i < count; i++)
		add(dma_window_address(&s->window, page + i), pages + i * PAGE_SIZE,
		    HOST_IOSPACE_READ | HOST_IOSPACE_WRITE);
	if (carry_out(s, 0))
		goto out_pages;
	out_addr->v = dma_window_address(&s->window, page);
	return pages;
out_pages:
	host_pages_free(pages, pages ? count : 0);
	return NULL;
}

/* Whatever the policy: the pages are somebody else's next, if the device has them no more. */
static void unshare(const struct dma_device *dev, void *pages, unsigned count, dma_addr_t addr)
{
	struct dma_io *s = dev->state;

	(void)flush_waiting(s);
	for (unsigned i = 0; i < count; i++)
		(void)unmap_one(s, addr.v + i * PAGE_SIZE);
	if (!flush_waiting(s))
		host_pages_free(pages, count);
}

/* ---- spaces ---------------------------------------------------------------------------------------- */

/* The next in the list, behind after (NULL: the first), that is in the space of s as well. */
static struct dma_io *beside(const struct dma_io *s, const struct dma_io *after)
{
	struct dma_io *c = after ? after->next : spaces;

	while (c && (c == s || c->space != s->space))
		c = c->next;
	return c;
}

static int shape(struct dma_window *w, const struct dma_device *dev, unsigned places)
{
	uint64_t start, end;
	int err = dma_window_fit(w, dev->mask, places);

	for (unsigned n = 0; !err && host_iospace_reserved(dev->bdf, n, &start, &end); n++)
		dma_window_keep(w, start, end);
	return err;
}

/* A device that is not trusted has nothing longer than the request that it is for. */
static int fit(struct dma_io *s, const struct dma_device *dev)
{
	unsigned places = 0;
	int err;

	for (struct dma_io *c = beside(s, NULL); c; c = beside(s, c))
		places |= 1u << c->window.place;
	err = shape(&s->window, dev, places);
	s->grants = s->window.first + DMA_WINDOW_BYTES;
	s->lazy = policy == DMA_POLICY_LAZY && !dev->untrusted;
	s->keeps_grants =
	    s->window.place && dev->mask >= s->grants + GRANT_BYTES - 1 && !dev->untrusted;
	return err;
}

static int attach(struct dma_device *dev, bool translated, const char **out_name)
{
	struct dma_io *s;
	int err;

	if (!translated || policy == DMA_POLICY_DIRECT)
		return -XEN_ENODEV;
	s = host_alloc(sizeof(*s));
	if (!s)
		return -XEN_ENOMEM;
	err = host_iospace_new(dev->bdf, &s->space);
	if (err)
		goto out_memory;
	err = fit(s, dev);
	if (err)
		goto out_space;
	s->next = spaces;
	spaces = s;
	dev->state = s;
	*out_name = s->lazy ? "io-lazy" : "io-strict";
	return 0;
out_space:
	(void)host_iospace_leave(dev->bdf);
	(void)host_iospace_free(s->space);
out_memory:
	host_free(s, sizeof(*s));
	return err;
}

/* Of a space that stays: all that this device has in it, found by what is taken of its window and would not be in a new one. */
static int empty(struct dma_io *s, const struct dma_device *dev)
{
	struct dma_window *blank = host_alloc(sizeof(*blank));
	int err = blank ? shape(blank, dev, ~(1u << s->window.place)) : -XEN_ENOMEM;

	if (!err)
		err = flush_waiting(s);
	for (unsigned page = 0; page < DMA_WINDOW_PAGES && !err; page++)
		if (dma_window_is_taken(&s->window, page) && !dma_window_is_taken(blank, page))
			err = unmap_one(s, dma_window_address(&s->window, page));
	if (!err)
		err = flush_waiting(s);
	for (unsigned n = 0; n < HOST_GRANT_WINDOWS && s->n_kept && !err; n++)
		err = take_out(s, &(uint16_t){(uint16_t)n}, 1);
	host_free(blank, sizeof(*blank));
	return err;
}

/* Where another sends by its number it cannot leave, and what it sends still reaches what that one has, and no more. What the hypervisor could not take back
 * stays mapped, and what is known of it stays here. */
static int detach(struct dma_device *dev)
{
	struct dma_io *s = dev->state, **link = &spaces;
	int err = host_iospace_leave(dev->bdf);

	if (err == -XEN_EBUSY || (!err && beside(s, NULL)))
		err = empty(s, dev);
	if (!err)
		err = host_iospace_free(s->space);
	if (err)
		return err;
	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	host_free(s, sizeof(*s));
	return 0;
}

static int cut(const struct dma_device *dev)
{
	return host_iospace_leave(dev->bdf);
}

static void count(const struct dma_device *dev, struct dma_counts *out)
{
	const struct dma_io *s = dev->state;

	dma_tell(&s->tally, host_iospace_tables(dev->bdf), out);
}

void dma_io_start(enum dma_policy wanted)
{
	policy = wanted;
	host_grants_leaving(grants_leave);
}

const struct dma_layer dma_io_layer = {
    .attach = attach,
    .detach = detach,
    .map = map,
    .unmap = unmap,
    .share = share,
    .unshare = unshare,
    .cut = cut,
    .count = count,
};

/* balloon_xen.c: follows memory/target: gives free pages to the hypervisor, and takes them back.
 *
 * A page goes in three steps: its one mapping (the direct map's), its place in the p2m list, its frame. It comes
 * back in the opposite order with another frame. Given pages are remembered by their numbers, in pages that
 * are kept for that. Some free pages are left in any case. A turn does one batch, so that the
 * worker's other work is not kept waiting by a gigabyte. Started by main.c; worker context. Calls
 * hypercalls, mm.h, host.h's store and work.
 */
#include "balloon_xen.h"

#include <amphi/host.h>
#include <amphi/hypercall.h>
#include <amphi/string.h>

#include "console.h"
#include "mm.h"
#include "mm_parts.h"

#define BATCH         64u
#define LEAVE_PAGES   256u /* 1 MiB stays, whatever the toolstack wants */
#define RETRY_NS      1000000000ull
#define NODE_PFNS     (PAGE_SIZE / sizeof(uint64_t) - 2)
#define PAGES_OF(kib) ((kib) / (PAGE_SIZE / 1024))

/* Numbers of pages that are given, in a list of pages; the newest first. */
struct node {
	struct node *next;
	uint64_t n;
	uint64_t pfns[NODE_PFNS];
};
_Static_assert(sizeof(struct node) == PAGE_SIZE, "a node is a page");

static struct node *given;
static uint64_t target_pages, given_pages;
/* What the hypervisor counted more than the first target said: the toolstack's own slack, which stays. */
static uint64_t surplus_pages;
static bool told; /* a target was seen */
static struct host_work work;

/* ---- remembering ---------------------------------------------------------------------------- */

/* Room for one more; false: no memory, which is what this is all about. */
static bool make_room(void)
{
	struct node *n;

	if (given && given->n < NODE_PFNS)
		return true;
	n = pages_alloc(1);
	if (!n)
		return false;
	n->next = given;
	given = n;
	return true;
}

static void remember(uint64_t pfn)
{
	given->pfns[given->n++] = pfn;
	given_pages++;
}

static uint64_t newest(void)
{
	return given->pfns[given->n - 1];
}

static void forget(void)
{
	struct node *n = given;

	given_pages--;
	if (--n->n)
		return;
	given = n->next;
	pages_free(n, 1);
}

/* ---- one page ------------------------------------------------------------------------------- */

static void *va_of(uint64_t pfn)
{
	return pfn_to_virt((pfn_t){pfn});
}

/* 0 when it went. What fails is undone, and the page is free as before. */
static int give_one(void)
{
	void *page = make_room() ? pages_alloc(1) : NULL;
	struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};
	uint64_t pfn;
	xen_pfn_t mfn;

	if (!page)
		return -XEN_ENOMEM;
	pfn = virt_to_pfn(page).v;
	mfn = mm_p2m_list[pfn];
	if (mm_direct_take((pfn_t){pfn})) {
		pages_free(page, 1);
		return -XEN_EBUSY;
	}
	mm_p2m_list[pfn] = ~0ull;
	set_xen_guest_handle(r.extent_start, &mfn);
	if (hypercall_memory_op(XENMEM_decrease_reservation, &r) == 1) {
		remember(pfn);
		return 0;
	}
	mm_p2m_list[pfn] = mfn;
	if (mm_direct_give((pfn_t){pfn}) == 0)
		pages_free(page, 1);
	return -XEN_EBUSY;
}

/* The m2p is the hypervisor's and is told with the frame (populate_physmap does so for PV). A frame that cannot
 * be mapped is not ours to use: it stays lost, and the next try is with the next page. */
static int take_one(void)
{
	xen_pfn_t extent = newest();
	struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};
	uint64_t pfn = extent;

	set_xen_guest_handle(r.extent_start, &extent);
	if (hypercall_memory_op(XENMEM_populate_physmap, &r) != 1)
		return -XEN_ENOMEM;
	mm_p2m_list[pfn] = extent;
	forget();
	if (mm_direct_give((pfn_t){pfn}))
		return -XEN_EBUSY;
	pages_free(va_of(pfn), 1);
	return 0;
}

/* ---- the target ------------------------------------------------------------------------------ */

/* What the hypervisor counts, which is what the target is of. */
static uint64_t current_pages(void)
{
	domid_t self = DOMID_SELF;
	int64_t n = hypercall_memory_op(XENMEM_current_reservation, &self);

	return n > 0 ? (uint64_t)n : 0;
}

/* One batch towards the target; *out_more: there is more to do. 0, or why it does not go on. */
static int step(bool *out_more)
{
	uint64_t now = current_pages();
	int err = 0;

	*out_more = false;
	for (unsigned i = 0; i < BATCH && !err; i++) {
		if (now > target_pages && pages_free_count() > LEAVE_PAGES) {
			err = give_one();
			now -= !err;
		} else if (now < target_pages && given_pages) {
			err = take_one();
			now += !err;
		} else {
			return 0;
		}
	}
	*out_more = !err;
	return err;
}

/* What the hypervisor refuses now it may allow later: memory that others have yet to give. */
static void turn(void *ctx)
{
	bool more;
	int err = step(&more);

	(void)ctx;
	if (err)
		host_work_after(&work, RETRY_NS);
	else if (more)
		host_work_soon(&work);
	else
		klog(LOG_INFO, "memory: %llu KiB, as far as the toolstack's wish goes",
		     (unsigned long long)current_pages() * (PAGE_SIZE / 1024));
}

/* The first call is for the value that was there before: it is what the domain has, and nothing happens. */
static void on_target(void *ctx, const char *path)
{
	char text[24];
	uint64_t kib;

	(void)ctx, (void)path;
	if (host_store_read(HOST_TX_NONE, "memory/target", text, sizeof(text)) < 0 ||
	    !str_to_u64(text, &kib) || kib > UINT32_MAX)
		return;
	if (!told)
		surplus_pages =
		    current_pages() - PAGES_OF(kib); /* may be below zero: it is added again */
	told = true;
	target_pages = PAGES_OF(kib) + surplus_pages;
	host_work_cancel(&work);
	if (current_pages() != target_pages)
		host_work_soon(&work);
}

int balloon_xen_start(void)
{
	struct host_watch *watch;

	work.fn = turn;
	return host_store_watch("memory/target", on_target, NULL, &watch);
}

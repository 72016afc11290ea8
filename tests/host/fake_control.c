/* fake_control.c: the hypervisor of fake_control.h, in one process.
 *
 * Machine memory is a memfd, so that frames can be mapped at consecutive addresses as the real
 * calls do it, and a write through a mapping that was undone is a fault. Callers: builder_test,
 * control_test. Calls the C library.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_control.h"

#define HEAP_FRAMES 64u /* the hypervisor's own: shared pages and grant tables */

struct frame {
	bool used;
	domid_t owner;
	unsigned level;   /* page table of this level; 0: plain */
	unsigned foreign; /* mappings by us */
	uint64_t number;  /* the machine's table */
};

static struct {
	int fd;
	uint64_t n, free_pages;
	uint8_t *memory;
	struct frame *frames;
	struct fake_domain domains[FAKE_DOMAINS];
	domid_t next_id;
	unsigned calls, fail_at, mappings;
	bool viewing; /* in host_foreign_view */
	int fail_with;
	host_event_fn *virq_fn;
	void *virq_ctx;
} fake;

static void die(const char *what)
{
	fprintf(stderr, "fake hypervisor: %s\n", what);
	abort();
}

void fake_reset(uint64_t pages)
{
	if (fake.memory) {
		munmap(fake.memory, fake.n * PAGE_SIZE);
		close(fake.fd);
		free(fake.frames);
	}
	/* Whoever bound the VIRQ keeps it. */
	memset(&fake, 0, offsetof(__typeof__(fake), virq_fn));
	fake.n = pages + HEAP_FRAMES;
	fake.free_pages = pages;
	fake.next_id = 1;
	fake.fd = memfd_create("machine", 0);
	if (ftruncate(fake.fd, (off_t)(fake.n * PAGE_SIZE)) != 0)
		die("no memory");
	fake.memory =
	    mmap(NULL, fake.n * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fake.fd, 0);
	memset(fake.memory, 0xdd, fake.n * PAGE_SIZE); /* frames are not clean */
	fake.frames = calloc(fake.n, sizeof(*fake.frames));
}

void fake_fail_at(unsigned nth, int err)
{
	fake.fail_at = nth ? fake.calls + nth : 0;
	fake.fail_with = err;
}

unsigned fake_calls(void)
{
	return fake.calls;
}

/* Every call begins with this: 0, or the error it is to end with. */
static int enter(void)
{
	return ++fake.calls == fake.fail_at ? fake.fail_with : 0;
}

void *fake_frame(mfn_t mfn)
{
	return fake.memory + mfn.v * PAGE_SIZE;
}

struct fake_domain *fake_domain(domid_t id)
{
	for (unsigned i = 0; i < FAKE_DOMAINS; i++)
		if (fake.domains[i].used && fake.domains[i].id == id)
			return &fake.domains[i];
	return NULL;
}

unsigned fake_domain_count(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FAKE_DOMAINS; i++)
		n += fake.domains[i].used;
	return n;
}

void fake_expect_nothing_left(void)
{
	if (fake_domain_count())
		die("a domain is left");
	if (fake.mappings)
		die("a mapping is left");
	for (uint64_t i = 0; i < fake.n; i++)
		if (fake.frames[i].used)
			die("a frame is left");
}

/* Frames are handed out downwards and never in order, so that a pfn never equals its mfn. */
static bool take_frame(domid_t owner, bool heap, mfn_t *out)
{
	uint64_t first = heap ? 0 : HEAP_FRAMES, end = heap ? HEAP_FRAMES : fake.n;

	for (uint64_t i = end; i-- > first;) {
		uint64_t m = i ^ ((i & ~7ull) + 8 <= end && i >= ((first + 7) & ~7ull) ? 5 : 0);

		if (fake.frames[m].used)
			continue;
		fake.frames[m] = (struct frame){.used = true, .owner = owner};
		*out = (mfn_t){m};
		return true;
	}
	return false;
}

static bool owned(mfn_t m, domid_t id)
{
	return m.v < fake.n && fake.frames[m.v].used && fake.frames[m.v].owner == id;
}

/* ---- page tables ---------------------------------------------------------------------- */

static uint64_t *table_at(mfn_t m)
{
	return fake_frame(m);
}

static mfn_t entry_frame(uint64_t pte)
{
	return (mfn_t){(pte & 0x000ffffffffff000ull) >> PAGE_SHIFT};
}

/* Marks all tables under m with their level; false when one is no table of this domain. */
static bool mark_tables(domid_t id, mfn_t m, unsigned level)
{
	struct frame *f;

	if (!owned(m, id))
		return false;
	f = &fake.frames[m.v];
	if (f->foreign || (f->level && f->level != level))
		return false;
	f->level = level;
	for (unsigned i = 0; level > 1 && i < 512; i++) {
		uint64_t pte = table_at(m)[i];

		if ((pte & 1) && !mark_tables(id, entry_frame(pte), level - 1))
			return false;
	}
	return true;
}

/* No page table may be writable, no frame of another be mapped. */
static bool check_l1s(domid_t id)
{
	for (uint64_t m = 0; m < fake.n; m++) {
		if (!owned((mfn_t){m}, id) || fake.frames[m].level != 1)
			continue;
		for (unsigned i = 0; i < 512; i++) {
			uint64_t pte = table_at((mfn_t){m})[i];

			if (!(pte & 1))
				continue;
			if (!owned(entry_frame(pte), id) || !(pte & 4))
				return false;
			if ((pte & 2) && fake.frames[entry_frame(pte).v].level)
				return false;
		}
	}
	return true;
}

static bool walk(domid_t id, uint64_t va, mfn_t *out, bool *out_writable)
{
	struct fake_domain *d = fake_domain(id);
	mfn_t m = d->pinned;

	for (unsigned level = 4; level > 0; level--) {
		uint64_t pte = table_at(m)[va >> (12 + 9 * (level - 1)) & 511];

		if (!(pte & 1))
			return false;
		m = entry_frame(pte);
		*out_writable = pte & 2;
	}
	*out = m;
	return true;
}

bool fake_guest_read(domid_t id, uint64_t va, void *out, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool writable;
		mfn_t m;

		if (!walk(id, va + i, &m, &writable))
			return false;
		((uint8_t *)out)[i] = ((uint8_t *)fake_frame(m))[(va + i) % PAGE_SIZE];
	}
	return true;
}

bool fake_guest_writable(domid_t id, uint64_t va)
{
	bool writable;
	mfn_t m;

	return walk(id, va, &m, &writable) && writable;
}

bool fake_guest_frame(domid_t id, uint64_t va, mfn_t *out)
{
	bool writable;

	return walk(id, va, out, &writable);
}

/* ---- domctl ---------------------------------------------------------------------------- */

static int do_create(struct xen_domctl *op)
{
	const struct xen_domctl_createdomain *c = &op->u.createdomain;

	if (c->max_grant_frames >= 0 || c->max_maptrack_frames >= 0 || c->flags != 0)
		die("a domain is not asked for with the hypervisor's own limits");
	for (unsigned i = 0; i < FAKE_DOMAINS; i++) {
		struct fake_domain *d = &fake.domains[i];

		if (d->used)
			continue;
		memset(d, 0, sizeof(*d));
		d->used = d->paused = true;
		d->paused_times = 1;
		d->id = op->domain = fake.next_id++;
		d->pinned = MFN_NONE;
		memcpy(&d->handle, c->handle, sizeof(d->handle));
		if (!take_frame(d->id, true, &d->shared_info) ||
		    !take_frame(d->id, true, &d->grant_frame))
			die("out of heap");
		memset(fake_frame(d->shared_info), 0, PAGE_SIZE);
		memset(fake_frame(d->grant_frame), 0, PAGE_SIZE);
		return 0;
	}
	return -XEN_ENOMEM;
}

static int do_destroy(struct fake_domain *d)
{
	for (uint64_t m = 0; m < fake.n; m++) {
		if (!owned((mfn_t){m}, d->id))
			continue;
		if (fake.frames[m].foreign)
			die("a domain ends while its frames are mapped");
		fake.free_pages += m >= HEAP_FRAMES;
		fake.frames[m].used = false;
	}
	d->used = false;
	return 0;
}

static int set_context(struct fake_domain *d, const struct xen_domctl_vcpucontext *v)
{
	mfn_t root = {xen_cr3_to_pfn(v->ctxt.p->ctrlreg[3])};

	if (v->vcpu >= d->max_vcpus || !owned(root, d->id) || fake.frames[root.v].level != 4)
		return -XEN_EINVAL;
	*(v->vcpu ? &d->second : &d->context) = *v->ctxt.p;
	d->context_set |= !v->vcpu;
	return 0;
}

/* As Xen: what is not the domain's is XTAB. */
static int page_types(const struct fake_domain *d, const struct xen_domctl_getpageframeinfo3 *p)
{
	for (uint64_t i = 0; i < p->num; i++) {
		mfn_t m = {p->array.p[i]};

		p->array.p[i] = !owned(m, d->id) ? XEN_DOMCTL_PFINFO_XTAB
				: m.v == d->pinned.v
				    ? XEN_DOMCTL_PFINFO_L4TAB | XEN_DOMCTL_PFINFO_LPINTAB
				    : (xen_pfn_t)fake.frames[m.v].level << 28;
	}
	return 0;
}

static int fill_hypercalls(struct fake_domain *d, mfn_t m)
{
	if (!owned(m, d->id) || fake.frames[m.v].level)
		return -XEN_EPERM;
	memset(fake_frame(m), 0xf4, PAGE_SIZE);
	return 0;
}

static int domctl_of(struct fake_domain *d, struct xen_domctl *op)
{
	switch (op->cmd) {
	case XEN_DOMCTL_destroydomain:
		return do_destroy(d);
	case XEN_DOMCTL_max_vcpus:
		d->max_vcpus = op->u.max_vcpus.max;
		return 0;
	case XEN_DOMCTL_max_mem:
		d->max_pages = op->u.max_mem.max_memkb / 4;
		return 0;
	case XEN_DOMCTL_getdomaininfo:
		fake_get_info(d, &op->u.getdomaininfo);
		return 0;
	case XEN_DOMCTL_setvcpucontext:
		return set_context(d, &op->u.vcpucontext);
	case XEN_DOMCTL_getvcpuextstate:
	case XEN_DOMCTL_get_vcpu_msrs:
		return fake_vcpu_state(d, op);
	case XEN_DOMCTL_getvcpucontext:
		return fake_get_context(d, &op->u.vcpucontext);
	case XEN_DOMCTL_getpageframeinfo3:
		return page_types(d, &op->u.getpageframeinfo3);
	case XEN_DOMCTL_resumedomain:
		d->shut_down = false;
		return 0;
	case XEN_DOMCTL_set_ext_vcpucontext:
		return fake_set_extended(d, &op->u.ext_vcpucontext);
	case XEN_DOMCTL_settscinfo:
		d->tsc_mode = op->u.tsc_info.tsc_mode;
		return 0;
	case XEN_DOMCTL_hypercall_init:
		return fill_hypercalls(d, (mfn_t){op->u.hypercall_init.gmfn});
	case XEN_DOMCTL_setvcpuaffinity:
	case XEN_DOMCTL_getvcpuaffinity:
		return fake_vcpu_affinity(d, &op->u.vcpuaffinity,
					  op->cmd == XEN_DOMCTL_setvcpuaffinity);
	case XEN_DOMCTL_getvcpuinfo:
		return fake_vcpu_info(d, &op->u.getvcpuinfo);
	case XEN_DOMCTL_pausedomain:
		d->paused_times++;
		d->paused = true;
		return 0;
	case XEN_DOMCTL_unpausedomain:
		d->paused_times -= d->paused_times > 0;
		d->paused = d->paused_times > 0;
		return d->context_set ? 0 : -XEN_EINVAL;
	default:
		return -XEN_ENOSYS;
	}
}

int host_domctl(struct xen_domctl *op)
{
	struct fake_domain *d = fake_domain(op->domain);
	int err = enter();

	if (err && op->cmd != XEN_DOMCTL_destroydomain)
		return err;
	if (op->cmd == XEN_DOMCTL_createdomain)
		return do_create(op);
	if (fake_device_domctl && (err = fake_device_domctl(op)) <= 0)
		return err;
	return d ? domctl_of(d, op) : -XEN_ESRCH;
}

int host_sysctl(struct xen_sysctl *op)
{
	struct xen_sysctl_getdomaininfolist *l = &op->u.getdomaininfolist;
	int err = enter();

	if (!err && op->cmd == XEN_SYSCTL_physinfo) {
		op->u.physinfo.free_pages = fake.free_pages;
		return 0;
	}
	if (err || op->cmd != XEN_SYSCTL_getdomaininfolist)
		return err ? err : -XEN_ENOSYS;
	l->num_domains = 0;
	for (unsigned id = l->first_domain; id < fake.next_id; id++) {
		struct fake_domain *d = fake_domain((domid_t)id);

		if (d && l->num_domains < l->max_domains)
			fake_get_info(d, &l->buffer.p[l->num_domains++]);
	}
	return 0;
}

/* ---- memory ---------------------------------------------------------------------------- */

/* As Xen: only for a domain that is there; the map is kept by its end. */
static long set_memory_map(const struct xen_foreign_memory_map *m)
{
	struct fake_domain *d = fake_domain(m->domid);
	uint64_t entry[2];

	if (!d || m->map.nr_entries != 1)
		return -XEN_EINVAL;
	memcpy(entry, m->map.buffer.p, sizeof(entry));
	d->map_end = entry[0] + entry[1];
	return 0;
}

/* Xen would replace the page, and the first be the domain's without a number. */
static void note_pfn(struct fake_domain *d, uint64_t pfn)
{
	if (pfn >= FAKE_PFNS || (d->has_pfn[pfn / 8] & 1u << pfn % 8))
		die("a page is asked for twice, or is far away");
	d->has_pfn[pfn / 8] |= (uint8_t)(1u << pfn % 8);
}

long host_memory_op(unsigned cmd, void *arg)
{
	struct xen_memory_reservation *r = arg;
	int err = enter();
	struct fake_domain *d;
	unsigned long i;

	if (cmd == XENMEM_set_memory_map)
		return err ? err : set_memory_map(arg);
	if (cmd == XENMEM_machine_memory_map)
		return err || !fake_machine_map ? -XEN_ENOSYS : fake_machine_map(arg);
	d = fake_domain(r->domid);
	if (err || cmd != XENMEM_populate_physmap || !d)
		return err ? err : -XEN_EINVAL;
	for (i = 0; i < r->nr_extents && d->pages < d->max_pages; i++) {
		mfn_t m;

		note_pfn(d, r->extent_start.p[i]);
		if (!take_frame(d->id, false, &m))
			break;
		fake.frames[m.v].number = d->pages++;
		fake.free_pages--;
		r->extent_start.p[i] = m.v;
	}
	return (long)i;
}

int host_mmu_update(struct mmu_update *updates, unsigned count, domid_t domid)
{
	(void)updates, (void)count, (void)domid;
	return enter();
}

static bool pin(struct fake_domain *d, const struct mmuext_op *op)
{
	mfn_t m = {op->arg1.mfn};
	unsigned level = op->cmd - MMUEXT_PIN_L1_TABLE + 1;

	if (level < 1 || level > 4 || !mark_tables(d->id, m, level) || !check_l1s(d->id))
		return false;
	if (level == 4)
		d->pinned = m;
	return true;
}

int host_mmuext(struct mmuext_op *ops, unsigned count, domid_t domid)
{
	struct fake_domain *d = fake_domain(domid);
	int err = enter();

	if (err || !d)
		return err ? err : -XEN_ESRCH;
	for (unsigned i = 0; i < count; i++)
		if (!pin(d, &ops[i]))
			return -XEN_EINVAL;
	return 0;
}

int host_foreign_map(domid_t domid, const mfn_t *frames, unsigned count, void **out_va)
{
	int err = enter();
	char *va;

	if (err)
		return err;
	for (unsigned i = 0; i < count; i++)
		if (!owned(frames[i], domid) || (!fake.viewing && fake.frames[frames[i].v].level))
			return -XEN_EPERM;
	va = mmap(NULL, count * PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (unsigned i = 0; i < count; i++) {
		mmap(va + i * PAGE_SIZE, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		     fake.fd, (off_t)(frames[i].v * PAGE_SIZE));
		fake.frames[frames[i].v].foreign++;
	}
	fake.mappings += count;
	*out_va = va;
	return 0;
}

int host_foreign_view(domid_t domid, const mfn_t *frames, unsigned count, const void **out_va)
{
	int err;

	fake.viewing = true;
	err = host_foreign_map(domid, frames, count, (void **)(uintptr_t)out_va);
	fake.viewing = false;
	return err;
}

pfn_t host_frame_number(mfn_t frame)
{
	return (pfn_t){frame.v < fake.n ? fake.frames[frame.v].number : ~0ull};
}

/* Finds the frame behind a mapped page by its content's address in the memfd. */
static uint64_t frame_behind(const void *va)
{
	uint64_t saved = *(volatile uint64_t *)va, mark = 0x5eed5eed5eed5eedull ^ (uintptr_t)va;
	uint64_t m, found = ~0ull;

	*(volatile uint64_t *)va = mark;
	for (m = 0; m < fake.n && found == ~0ull; m++)
		if (fake.frames[m].foreign && *table_at((mfn_t){m}) == mark)
			found = m;
	*(volatile uint64_t *)va = saved;
	return found;
}

void host_foreign_unmap(const void *va, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t m = frame_behind((char *)va + i * PAGE_SIZE);

		if (m == ~0ull)
			die("a page is unmapped that was not mapped");
		fake.frames[m].foreign--;
	}
	fake.mappings -= count;
	munmap((void *)(uintptr_t)va, count * PAGE_SIZE);
}

/* ---- the rest --------------------------------------------------------------------------- */

int host_event_alloc_for(domid_t of, domid_t peer, uint32_t *out_port)
{
	struct fake_domain *d = fake_domain(of);
	int err = enter();

	if (err || !d || d->n_ports + 1 == FAKE_PORTS)
		return err ? err : -XEN_ENOSPC;
	*out_port = ++d->n_ports;
	d->port_peer[*out_port] = peer;
	return 0;
}

int host_virq_bind(unsigned virq, host_event_fn *fn, void *ctx, port_t *out_port)
{
	int err = enter();

	if (err || virq != VIRQ_DOM_EXC)
		return err ? err : -XEN_EINVAL;
	fake.virq_fn = fn;
	fake.virq_ctx = ctx;
	*out_port = (port_t){1};
	return 0;
}

int host_grant_table_frame(domid_t domid, mfn_t *out_frame)
{
	struct fake_domain *d = fake_domain(domid);
	int err = enter();

	if (err || !d)
		return err ? err : -XEN_ESRCH;
	*out_frame = d->grant_frame;
	return 0;
}

domid_t host_own_domid(void)
{
	return 0;
}

void host_read_counts(struct host_counts *out)
{
	*out = (struct host_counts){.free_pages = fake.free_pages};
}

void fake_shutdown(domid_t id, unsigned reason)
{
	struct fake_domain *d = fake_domain(id);

	d->shut_down = true;
	d->shutdown_code = reason;
	if (fake.virq_fn)
		fake.virq_fn(fake.virq_ctx);
}

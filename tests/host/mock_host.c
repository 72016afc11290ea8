/* mock_host.c: the mock world's memory, queue of callbacks, time, faults and log.
 *
 * Pages come from one shared memory file, so that mock_share.c can map them a second time. Freed
 * pages are made inaccessible. Callbacks wait in one queue per domain and run in order, the domains
 * round robin or by chance. Called by tests through mock_host.h and by the rooms through host.h.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mock_host.h"

#define ARENA_PAGES 8192u

struct item {
	struct item *next;
	enum mock_kind kind;
	void *what;
	char path[STORE_PATH_MAX];
};

static struct {
	struct item *head, **tail;
	struct host_work *delayed;
	unsigned allocs, pages;
	bool frozen;
} domains[MOCK_DOMAINS];

static struct {
	uint8_t *base;
	int fd;
	uint8_t owner[ARENA_PAGES]; /* domid + 1; 0: free */
	unsigned next;              /* where to look for free pages: freed ones are reused late */
} arena = {.fd = -1};

static domid_t current;
static uint64_t now_ns;
static uint32_t chance;
static int fail_in;
static bool fail_always, log_to_stderr;
static char *log_text;
static size_t log_len, log_cap;
struct mock_calls mock_calls;

void mock_bug(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "mock (domain %u): ", current);
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
	va_end(args);
	abort();
}

/* ---- domains and faults ---- */

void mock_enter(domid_t domain)
{
	if (domain >= MOCK_DOMAINS)
		mock_bug("no domain %u", domain);
	current = domain;
}

domid_t mock_current(void)
{
	return current;
}

void mock_fail_after(int n)
{
	fail_in = n;
}

int mock_fail_left(void)
{
	return fail_in;
}

void mock_fail_all(bool on)
{
	fail_always = on;
}

bool mock_should_fail(void)
{
	if (fail_always)
		return true;
	return fail_in > 0 && --fail_in == 0;
}

/* ---- memory ---- */

void *host_alloc(size_t size)
{
	void *p = mock_should_fail() ? NULL : calloc(1, size ? size : 1);

	domains[current].allocs += p != NULL;
	return p;
}

void host_free(void *p, size_t size)
{
	(void)size;
	if (p)
		domains[current].allocs--;
	free(p);
}

static void arena_init(void)
{
	if (arena.fd >= 0)
		return;
	arena.fd = memfd_create("mock-pages", 0);
	if (arena.fd < 0 || ftruncate(arena.fd, ARENA_PAGES * PAGE_SIZE))
		mock_bug("no shared memory");
	arena.base = mmap(NULL, ARENA_PAGES * PAGE_SIZE, PROT_NONE, MAP_SHARED, arena.fd, 0);
	if (arena.base == MAP_FAILED)
		mock_bug("no room for the arena");
}

static bool arena_fits(unsigned first, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (first + i >= ARENA_PAGES || arena.owner[first + i])
			return false;
	return true;
}

void *host_pages_alloc(unsigned count)
{
	uint8_t *va;

	if (mock_should_fail())
		return NULL;
	for (unsigned tries = 0; !arena_fits(arena.next, count); tries++) {
		if (tries > ARENA_PAGES)
			mock_bug("arena is full");
		arena.next = (arena.next + 1) % ARENA_PAGES;
	}
	va = arena.base + arena.next * PAGE_SIZE;
	mprotect(va, count * PAGE_SIZE, PROT_READ | PROT_WRITE);
	memset(va, 0, count * PAGE_SIZE);
	memset(arena.owner + arena.next, current + 1, count);
	arena.next = (arena.next + count) % ARENA_PAGES;
	domains[current].pages += count;
	return va;
}

bool mock_page_live(const void *page, domid_t domain)
{
	size_t at = (size_t)((const uint8_t *)page - arena.base);

	return at < ARENA_PAGES * PAGE_SIZE && at % PAGE_SIZE == 0 &&
	       arena.owner[at / PAGE_SIZE] == domain + 1;
}

int mock_page_fd(const void *page, long *out_offset)
{
	*out_offset = (const uint8_t *)page - arena.base;
	return arena.fd;
}

maddr_t host_virt_to_maddr(const void *va)
{
	return (maddr_t){(uintptr_t)va};
}

/* ---- the queue of callbacks ---- */

void mock_queue(domid_t domain, enum mock_kind kind, void *what, const char *path)
{
	struct item *item = calloc(1, sizeof(*item));

	item->kind = kind;
	item->what = what;
	if (path)
		snprintf(item->path, sizeof(item->path), "%s", path);
	*domains[domain].tail = item;
	domains[domain].tail = &item->next;
}

static struct item *take_item(domid_t domain)
{
	struct item *item = domains[domain].head;

	domains[domain].head = item->next;
	if (!item->next)
		domains[domain].tail = &domains[domain].head;
	return item;
}

static void drop_items(domid_t domain, const void *what)
{
	struct item **link = &domains[domain].head;

	while (*link) {
		struct item *item = *link;

		if (!what || item->what == what) {
			*link = item->next;
			free(item);
		} else {
			link = &item->next;
		}
	}
	domains[domain].tail = link;
}

void host_work_soon(struct host_work *work)
{
	if (work->queued)
		return;
	work->queued = true;
	mock_queue(current, MOCK_WORK, work, NULL);
}

void host_work_after(struct host_work *work, uint64_t delay_ns)
{
	if (work->queued)
		return;
	work->queued = true;
	work->due_ns = now_ns + delay_ns;
	work->next = domains[current].delayed;
	domains[current].delayed = work;
}

static bool undelay(domid_t domain, struct host_work *work)
{
	for (struct host_work **link = &domains[domain].delayed; *link; link = &(*link)->next)
		if (*link == work) {
			*link = work->next;
			return true;
		}
	return false;
}

void host_work_cancel(struct host_work *work)
{
	if (!work->queued)
		return;
	work->queued = false;
	if (!undelay(current, work))
		drop_items(current, work);
}

static void run_work(struct host_work *work)
{
	work->queued = false;
	mock_calls.works_run++;
	work->fn(work->ctx);
}

static void run_item(domid_t domain)
{
	struct item *item = take_item(domain);
	domid_t before = current;

	current = domain;
	if (item->kind == MOCK_WORK)
		run_work(item->what);
	else if (item->kind == MOCK_EVENT)
		mock_run_event(item->what);
	else
		mock_run_watch(item->what, item->path);
	current = before;
	free(item);
}

void mock_shuffle(uint32_t seed)
{
	chance = seed;
}

void mock_freeze(domid_t domain, bool frozen)
{
	domains[domain].frozen = frozen;
}

static bool has_turn(unsigned domain)
{
	return domains[domain].head && !domains[domain].frozen;
}

static unsigned next_domain(unsigned after)
{
	unsigned start = after + 1;

	if (chance) {
		chance = chance * 1664525u + 1013904223u;
		start = chance >> 16;
	}
	for (unsigned i = 0; i < MOCK_DOMAINS; i++)
		if (has_turn((start + i) % MOCK_DOMAINS))
			return (start + i) % MOCK_DOMAINS;
	return MOCK_DOMAINS;
}

unsigned mock_run_some(unsigned limit)
{
	unsigned ran = 0, domain = 0;

	while (ran < limit && (domain = next_domain(domain)) < MOCK_DOMAINS) {
		run_item((domid_t)domain);
		ran++;
	}
	return ran;
}

bool mock_run_other(void)
{
	domid_t me = current;
	bool was = domains[me].frozen;
	unsigned ran;

	domains[me].frozen = true;
	ran = mock_run_some(1);
	domains[me].frozen = was;
	return ran;
}

unsigned mock_run(void)
{
	unsigned ran = mock_run_some(1000000);

	if (ran == 1000000)
		mock_bug("the callbacks never end");
	return ran;
}

/* ---- time ---- */

uint64_t host_time_ns(void)
{
	return now_ns;
}

static void queue_due(domid_t domain)
{
	struct host_work **link = &domains[domain].delayed;

	while (*link) {
		struct host_work *work = *link;

		if (work->due_ns <= now_ns) {
			*link = work->next;
			mock_queue(domain, MOCK_WORK, work, NULL);
		} else {
			link = &work->next;
		}
	}
}

void mock_pass(uint64_t ns)
{
	now_ns += ns;
	for (domid_t d = 0; d < MOCK_DOMAINS; d++)
		queue_due(d);
}

void mock_advance(uint64_t ns)
{
	mock_pass(ns);
	mock_run();
}

/* ---- words ---- */

void host_log(enum host_log_level level, const char *fmt, ...)
{
	char line[512];
	va_list args;
	size_t len;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (log_to_stderr)
		fprintf(stderr, "[%u] %d %s\n", current, level, line);
	len = strlen(line);
	if (log_len + len + 2 > log_cap) {
		log_cap = (log_len + len + 2) * 2;
		log_text = realloc(log_text, log_cap);
	}
	memcpy(log_text + log_len, line, len);
	log_text[log_len + len] = '\n';
	log_len += len + 1;
	log_text[log_len] = '\0';
}

bool mock_logged(const char *part)
{
	return log_text && strstr(log_text, part);
}

void mock_log_to_stderr(bool on)
{
	log_to_stderr = on;
}

void host_bug(const char *what, const char *file, int line)
{
	mock_bug("%s:%d: assertion failed: %s", file, line, what);
}

/* ---- begin, end ---- */

static void forget_domain(domid_t domain)
{
	drop_items(domain, NULL);
	for (struct host_work *w = domains[domain].delayed; w; w = w->next)
		w->queued = false;
	domains[domain].delayed = NULL;
}

void mock_reset(void)
{
	arena_init();
	mock_disk_reset();
	mock_share_reset();
	mock_store_reset();
	for (domid_t d = 0; d < MOCK_DOMAINS; d++) {
		if (!domains[d].tail)
			domains[d].tail = &domains[d].head;
		drop_items(d, NULL);
		domains[d].delayed = NULL;
		domains[d].allocs = domains[d].pages = 0;
		domains[d].frozen = false;
	}
	memset(arena.owner, 0, sizeof(arena.owner));
	mprotect(arena.base, ARENA_PAGES * PAGE_SIZE, PROT_NONE);
	arena.next = 0;
	current = 0;
	now_ns = 1;
	chance = 0;
	fail_in = -1;
	fail_always = false;
	log_len = 0;
	free(log_text);
	log_text = NULL;
	log_cap = 0;
	mock_calls = (struct mock_calls){0};
}

void host_pages_free(void *pages, unsigned count)
{
	size_t first = (size_t)((uint8_t *)pages - arena.base) / PAGE_SIZE;

	for (unsigned i = 0; i < count; i++)
		if (!mock_page_live((uint8_t *)pages + i * PAGE_SIZE, current))
			mock_bug("page %p is not this domain's to free", pages);
	memset(arena.owner + first, 0, count);
	mprotect(pages, count * PAGE_SIZE, PROT_NONE);
	domains[current].pages -= count;
}

void mock_kill(domid_t domain)
{
	forget_domain(domain);
	mock_share_kill(domain);
	mock_store_kill(domain);
}

struct mock_left mock_left(domid_t domain)
{
	struct mock_left left = {.allocs = domains[domain].allocs, .pages = domains[domain].pages};

	for (struct host_work *w = domains[domain].delayed; w; w = w->next)
		left.works++;
	for (struct item *i = domains[domain].head; i; i = i->next)
		left.works++;
	mock_share_left(domain, &left);
	mock_store_left(domain, &left);
	return left;
}

bool mock_nothing_left(domid_t domain)
{
	struct mock_left l = mock_left(domain);
	bool nothing = !(l.allocs | l.pages | l.grants | l.maps | l.ports | l.watches | l.works |
			 l.transactions);

	if (!nothing)
		fprintf(stderr,
			"domain %u: left: %u allocs, %u pages, %u grants, %u maps, %u ports, %u "
			"watches, "
			"%u works, %u transactions\n",
			domain, l.allocs, l.pages, l.grants, l.maps, l.ports, l.watches, l.works,
			l.transactions);
	return nothing;
}

/* grant_retire.c: grants that are over for us but which the peer may still have mapped.
 *
 * A page is not reused, and a reference not given again, before the peer has let go. Each such
 * grant waits here with a timer of its own; nothing is promised about when a peer lets go, and a
 * hostile one keeps what it was lent and no more. Called by drivers-front; calls host.h. Worker.
 */
#include <amphi/xenbus.h>

/* A second: nobody waits for these, and each try is a look at one grant entry. There is no event by
 * which a peer tells that it has unmapped (xen/grant_table.h: one polls
 * GTF_reading|GTF_writing). */
#define RETRY_NS 1000000000ull

#define RESERVE 16u

struct retiring {
	gref_t ref;
	void *page;
	struct host_work work;
	bool in_use, reserved; /* reserved: of the array below */
};

/* Counts what was given up as well, since that is never taken back. */
static unsigned n_retiring;

/* For when there is no memory: what waits here is often what was to be freed. */
static struct retiring reserve[RESERVE];

unsigned grant_retiring(void)
{
	return n_retiring;
}

/* The heap first, so that the reserve stays for the moment when the heap is empty. */
static struct retiring *retiring_new(void)
{
	struct retiring *r = host_alloc(sizeof(*r));

	for (unsigned i = 0; !r && i < RESERVE; i++)
		if (!reserve[i].in_use) {
			r = &reserve[i];
			r->reserved = true;
		}
	if (r)
		r->in_use = true;
	return r;
}

static void retiring_free(struct retiring *r)
{
	r->in_use = false;
	if (!r->reserved)
		host_free(r, sizeof(*r));
}

/* The page before the record: page and reference come back together or not at all. Nothing gives up
 * here, since a page reused while a peer has it mapped is a peer that reads our next secret. */
static void retry(void *ctx)
{
	struct retiring *r = ctx;

	if (host_grant_end(r->ref) != 0) {
		host_work_after(&r->work, RETRY_NS);
		return;
	}
	if (r->page)
		host_pages_free(r->page, 1);
	n_retiring--;
	retiring_free(r);
}

void grant_retire(gref_t ref, void *page)
{
	struct retiring *r;

	/* The usual case, and the only one with an honest peer: it unmapped before it said
	 * Closed. */
	if (host_grant_end(ref) == 0) {
		if (page)
			host_pages_free(page, 1);
		return;
	}
	n_retiring++;
	r = retiring_new();
	if (!r) {
		/* Safe and counted: the page stays out of use for good. */
		host_log(HOST_LOG_WARN, "grant %u: still mapped by the peer, page given up", ref.v);
		return;
	}
	r->ref = ref;
	r->page = page;
	r->work.fn = retry;
	r->work.ctx = r;
	host_work_after(&r->work, RETRY_NS);
}

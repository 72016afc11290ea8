/* netfront_pages.c: pages of ours that the backend may see, from their first grant to their last.
 *
 * A page is lent, taken back and lent again; what is in it was always meant for this backend, or came from it, and each is
 * zeroed when it comes (host.h), so it may be lent as it is. Called by the other files of netfront; calls host.h and
 * grant_retire for what a backend does not let go of.
 */
#include "netfront_private.h"

struct nf_page *nf_page_new(struct nf_queue *q)
{
	struct nf_page *page = host_alloc(sizeof(*page));

	if (!page)
		return NULL;
	page->va = host_pages_alloc(1);
	if (!page->va) {
		host_free(page, sizeof(*page));
		return NULL;
	}
	page->queue = q->index;
	page->life = q->dev->life;
	return page;
}

bool nf_page_grant(struct nf_queue *q, struct nf_page *page, bool readonly)
{
	if (host_grant_offer(q->dev->bus.peer, page->va, readonly, &page->ref))
		return false;
	page->granted = true;
	page->readonly = readonly;
	q->dev->stats.grants_offered++;
	return true;
}

bool nf_page_take(struct nf_page *page)
{
	if (host_grant_end(page->ref))
		return false;
	page->granted = false;
	return true;
}

void nf_page_end(struct nf_page *page)
{
	if (page->granted)
		grant_retire(page->ref, page->va);
	else
		host_pages_free(page->va, 1);
	host_free(page, sizeof(*page));
}

void nf_pages_end(struct nf_pages *pages)
{
	struct nf_page *page;

	while ((page = nf_pages_get(pages)))
		nf_page_end(page);
}

/* page_bitmap.c: finds runs of free pages in a bitmap.
 *
 * Called by mm.c and vmap.c; pure, so the host test drives it against a model. Not clever: domains are
 * small, and one word tells of 64 pages. Whole words of used pages are stepped over at once.
 */
#include "page_bitmap.h"

/* 1 is free: an empty bitmap gives out nothing until pages are released into it. */
static bool is_free(const struct page_bitmap *b, size_t page)
{
	return b->words[page / 64] >> (page % 64) & 1;
}

void page_bitmap_init(struct page_bitmap *b, uint64_t *words, size_t n_pages)
{
	*b = (struct page_bitmap){.words = words, .n_pages = n_pages};
}

/* The first free page in [from, end), or end. */
static size_t next_free(const struct page_bitmap *b, size_t from, size_t end)
{
	while (from < end) {
		uint64_t word = b->words[from / 64] >> (from % 64);

		/* Beyond n_pages the last word's bits are never set, but end may lie inside a
		 * word. */
		if (word) {
			from += (size_t)__builtin_ctzll(word);
			return from < end ? from : end;
		}
		from = (from / 64 + 1) * 64;
	}
	return end;
}

/* First page of a run of n that begins in [from, end). */
static size_t find_run(const struct page_bitmap *b, size_t n, size_t from, size_t end)
{
	size_t first = next_free(b, from, end), len = 0;

	while (first < end && b->n_pages - first >= n) {
		while (len < n && is_free(b, first + len))
			len++;
		if (len == n)
			return first;
		first = next_free(b, first + len + 1, end);
		len = 0;
	}
	return PAGE_BITMAP_NONE;
}

static size_t take(struct page_bitmap *b, size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++)
		b->words[i / 64] &= ~(1ull << (i % 64));
	b->n_free -= n;
	return first;
}

/* From the hint on, then from the start: next fit. It keeps a burst of allocations from walking
 * over the same used words again and again. The run itself may reach past the hint in the second
 * round. Low pages come last: some devices reach no others. */
size_t page_bitmap_alloc(struct page_bitmap *b, size_t n)
{
	size_t first;

	if (n > b->n_free)
		return PAGE_BITMAP_NONE;
	first = find_run(b, n, b->hint, b->n_pages);
	if (first == PAGE_BITMAP_NONE)
		first = find_run(b, n, b->low_end, b->hint);
	if (first == PAGE_BITMAP_NONE)
		first = find_run(b, n, 0, b->low_end);
	if (first == PAGE_BITMAP_NONE)
		return first;
	if (first >= b->low_end)
		b->hint = first + n < b->n_pages ? first + n : b->low_end;
	return take(b, first, n);
}

/* The hint stays: this is rare, and low. */
size_t page_bitmap_alloc_low(struct page_bitmap *b, size_t n, size_t align, size_t end)
{
	size_t first = 0, len;

	end = end < b->n_pages ? end : b->n_pages;
	while ((first = next_free(b, first, end)) < end) {
		first = (first + align - 1) / align * align;
		if (first >= end || end - first < n)
			break;
		for (len = 0; len < n && is_free(b, first + len);)
			len++;
		if (len == n)
			return take(b, first, n);
		first += len + 1;
	}
	return PAGE_BITMAP_NONE;
}

/* Looks at all pages before it changes one, so that a refused release leaves the bitmap as it
 * was. The sums are ordered so that neither can wrap. */
bool page_bitmap_release(struct page_bitmap *b, size_t first, size_t n)
{
	if (first > b->n_pages || n > b->n_pages - first)
		return false;
	for (size_t i = first; i < first + n; i++)
		if (is_free(b, i))
			return false;
	for (size_t i = first; i < first + n; i++)
		b->words[i / 64] |= 1ull << (i % 64);
	b->n_free += n;
	/* Low pages first, so that what is used stays together and long runs stay whole. */
	if (first < b->hint && first >= b->low_end)
		b->hint = first;
	return true;
}

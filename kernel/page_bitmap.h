/* page_bitmap.h: which of n pages are free, one bit each. Private to kernel/mm.c and its host test.
 *
 * Pure: no memory but what it is given. Search goes on from where the last one ended and wraps once,
 * so allocation is quick while memory is plenty, and finds any run there is when it is not.
 */
#ifndef KERNEL_PAGE_BITMAP_H
#define KERNEL_PAGE_BITMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_BITMAP_NONE SIZE_MAX

struct page_bitmap {
	uint64_t *words; /* 1: free; the owner's memory, DIV_ROUND_UP(n, 64) words */
	size_t n_pages, n_free, hint;
	size_t
	    low_end; /* pages below are given last; 0: none are kept so. May be set before there are any */
};

/* All pages used at first; words must be zeroed. */
void page_bitmap_init(struct page_bitmap *b, uint64_t *words, size_t n_pages);

/* First of n free pages in a row, now used; PAGE_BITMAP_NONE. n >= 1. */
size_t page_bitmap_alloc(struct page_bitmap *b, size_t n);

/* The lowest run whose first page is a multiple of align (a power of 2), and all of which lies below end; else NONE. */
size_t page_bitmap_alloc_low(struct page_bitmap *b, size_t n, size_t align, size_t end);

/* Frees [first, first + n). false, and nothing done: outside, or one of them is free already. */
bool page_bitmap_release(struct page_bitmap *b, size_t first, size_t n);

#endif

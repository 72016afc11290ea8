/* selftest_memory.c: the self-test's checks of the kernel's memory: allocator, addresses, rights.
 *
 * Caller: commands_selftest.c. Uses mm.h as any other file would, and the deeds of selftest_traps.c where
 * something must fault. Every check gives back what it took, and says so by the count of free pages.
 */
#include <amphi/string.h>

#include "mm_parts.h"
#include "selftest.h"

#define RUN      5u
#define BLOCKS   40u
#define BLOCK(i) (8u + (i) * (i)*3u) /* from small ones to more than a page */

static bool is_zero(const void *p, size_t len)
{
	const char *c = p;

	for (size_t i = 0; i < len; i++)
		if (c[i])
			return false;
	return true;
}

/* Zeroed although they were used before, and consecutive. */
static const char *pages(void)
{
	size_t free = pages_free_count();
	char *run = pages_alloc(RUN), *other = pages_alloc(1);

	WANT(run && other);
	WANT(is_zero(run, RUN * PAGE_SIZE));
	WANT(other < run || other >= run + RUN * PAGE_SIZE);
	WANT(pages_free_count() == free - RUN - 1);
	memset(run, 0x5a, RUN * PAGE_SIZE);
	pages_free(run, RUN);
	run = pages_alloc(RUN);
	WANT(run && is_zero(run, RUN * PAGE_SIZE));
	pages_free(run, RUN);
	pages_free(other, 1);
	WANT(pages_free_count() == free);
	WANT(!pages_alloc(0));
	WANT(!pages_alloc((unsigned)pages_total_count() + 1));
	return NULL;
}

/* Each block is filled with its own byte, so that two that overlap are found. */
static const char *blocks(void)
{
	char *block[BLOCKS];
	size_t slab_pages, used = heap_used_bytes(&slab_pages);

	for (unsigned i = 0; i < BLOCKS; i++) {
		block[i] = kmalloc(BLOCK(i));
		WANT(block[i] && (uintptr_t)block[i] % 16 == 0 && is_zero(block[i], BLOCK(i)));
		memset(block[i], (int)i + 1, BLOCK(i));
	}
	for (unsigned i = 0; i < BLOCKS; i++) {
		WANT(block[i][0] == (char)(i + 1) && block[i][BLOCK(i) - 1] == (char)(i + 1));
		kfree(block[i], BLOCK(i));
	}
	WANT(heap_used_bytes(&slab_pages) == used);
	return NULL;
}

static const char *addresses(void)
{
	char *run = pages_alloc(RUN);
	static char here;

	WANT(run);
	for (unsigned i = 0; i < RUN; i++) {
		pfn_t pfn = virt_to_pfn(run + i * PAGE_SIZE);

		WANT(pfn_to_virt(pfn) == run + i * PAGE_SIZE);
		WANT(mfn_to_pfn(pfn_to_mfn(pfn)).v == pfn.v);
		WANT(virt_to_maddr(run + i * PAGE_SIZE + 9).v ==
		     (pfn_to_mfn(pfn).v << PAGE_SHIFT) + 9);
	}
	WANT(mfn_to_pfn(pfn_to_mfn(virt_to_pfn(&here))).v == virt_to_pfn(&here).v);
	pages_free(run, RUN);
	return NULL;
}

/* One frame in two windows, one of which may not be written. */
static const char *windows(void)
{
	volatile char *page = pages_alloc(1), *first = vmap_reserve(1), *second = vmap_reserve(1);
	mfn_t frame = pfn_to_mfn(virt_to_pfn((void *)page));

	WANT(page && first && second && first != second);
	WANT(map_frames((void *)first, &frame, 1, MM_WRITE, DOMID_SELF) == 0);
	WANT(map_frames((void *)second, &frame, 1, MM_READ, DOMID_SELF) == 0);
	WANT(virt_to_maddr((void *)(first + 5)).v == virt_to_maddr((void *)(page + 5)).v);
	first[7] = 'x';
	WANT(page[7] == 'x' && second[7] == 'x');
	WANT(!selftest_write_faults(first));
	WANT(selftest_write_faults(second));
	unmap_frames((void *)first, 1);
	unmap_frames((void *)second, 1);
	WANT(selftest_write_faults(first) && selftest_write_faults(second));
	WANT(!mm_readable((void *)first, 1) && mm_readable((void *)page, PAGE_SIZE));
	vmap_release((void *)first, 1);
	vmap_release((void *)second, 1);
	pages_free((void *)page, 1);
	return NULL;
}

static const char *text(void)
{
	WANT(selftest_write_faults(text_start));
	WANT(selftest_write_faults((void *)(uintptr_t)pages_alloc));
	return NULL;
}

static const char *rodata(void)
{
	static const char word[] = "read-only";

	WANT(selftest_write_faults(rodata_start));
	WANT(selftest_write_faults((void *)(uintptr_t)word));
	WANT(!selftest_write_faults(data_start));
	return NULL;
}

/* A processor without the bit executes everything. */
static const char *no_execute(void)
{
	WANT(selftest_execute_faults() == !!mm_flags.no_execute);
	return NULL;
}

/* Every page of the image, as the tables have it. */
static const char *rights(void)
{
	unsigned level;

	for (char *va = image_start; va < image_end; va += PAGE_SIZE) {
		uint64_t *entry = mm_walk((uint64_t)(uintptr_t)va, &level);

		WANT(entry && *entry & PTE_PRESENT);
		WANT(!(*entry & PTE_WRITE) || !mm_flags.no_execute || *entry & PTE_NX);
		WANT(!(*entry & PTE_WRITE) == (va < data_start || va >= bss_end));
	}
	return NULL;
}

static const char *nothing_low(void)
{
	uint64_t value;

	WANT(!trap_safe_read64(NULL, &value));
	WANT(!trap_safe_read64((void *)0x100000, &value));
	WANT(!mm_readable(NULL, 1));
	WANT(trap_safe_read64(image_start, &value));
	return NULL;
}

static const struct selftest tests[] = {
    {"memory: pages", pages},
    {"memory: small blocks", blocks},
    {"memory: addresses there and back", addresses},
    {"memory: windows", windows},
    {"memory: text is read-only", text},
    {"memory: constants are read-only", rodata},
    {"memory: data is not executed", no_execute},
    {"memory: nothing is written and executed", rights},
    {"memory: nothing where programs are", nothing_low},
};
const struct selftest_room selftest_memory = {tests, ARRAY_SIZE(tests)};

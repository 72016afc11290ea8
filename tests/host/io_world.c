/* io_world.c: the hypervisor, the grants and the device of io_world.h.
 *
 * Called by iommu/dma_io.c through host_iospace.h, and by the tests. A call that no hypervisor would take is a failure of the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "io_world.h"

#define SPACE 7u

/* ---- a hypervisor with one space ------------------------------------------------------------------- */

struct io_page at[PAGES];
bool inside, silent;
unsigned calls, room;

static bool is_in[2]; /* BDF, OTHER */
static unsigned users;

int host_iospace_new(uint16_t bdf, uint32_t *out_space)
{
	if (bdf != BDF && bdf != OTHER)
		return -XEN_ENODEV;
	is_in[bdf == OTHER] = inside = true;
	users++;
	*out_space = SPACE;
	return 0;
}

bool host_iospace_reserved(uint16_t bdf, unsigned n, uint64_t *out_start, uint64_t *out_end)
{
	*out_start = 0x10003000;
	*out_end = 0x10005000;
	return n < 2;
}

int host_iospace_leave(uint16_t bdf)
{
	if (is_in[bdf != OTHER])
		return -XEN_EBUSY;
	is_in[bdf == OTHER] = inside = false;
	return 0;
}

/* What both of them left there stays, as it would with a hypervisor. */
int host_iospace_free(uint32_t space)
{
	assert_true(users);
	if (silent)
		return -XEN_EIO;
	if (--users || inside)
		return 0;
	memset(at, 0, sizeof(at));
	return 0;
}

void io_world_take_away(void)
{
	assert_int_equal(users, 0);
	is_in[0] = is_in[1] = inside = false;
}

unsigned host_iospace_tables(uint16_t bdf)
{
	return 5;
}

unsigned page_of(uint64_t dma)
{
	assert_int_equal(dma % PAGE_SIZE, 0);
	assert_in_range(dma, LOWEST, PAGES * PAGE_SIZE - 1);
	return (unsigned)(dma / PAGE_SIZE);
}

int host_iospace_map(uint32_t space, const struct host_iospace_page *pages, unsigned count)
{
	assert_int_equal(space, SPACE);
	assert_in_range(count, 1, HOST_IOSPACE_BATCH);
	calls++;
	if (count > room)
		return -XEN_ENOMEM;
	room -= count;
	for (unsigned i = 0; i < count; i++) {
		unsigned n_page = page_of(pages[i].dma);

		assert_null(at[n_page].va);
		assert_int_equal((uintptr_t)pages[i].va % PAGE_SIZE, 0);
		assert_true(pages[i].dma < 0x10003000 || pages[i].dma >= 0x10005000);
		at[n_page].va = pages[i].va;
		at[n_page].rights = pages[i].rights;
	}
	return 0;
}

int host_iospace_unmap(uint32_t space, const uint64_t *dma, unsigned count)
{
	int err = 0;

	assert_in_range(count, 1, HOST_IOSPACE_BATCH);
	calls++;
	if (silent)
		return -XEN_EIO;
	for (unsigned i = 0; i < count; i++) {
		unsigned n_page = page_of(dma[i]);

		if (!at[n_page].va)
			err = -XEN_ENOENT;
		at[n_page].va = NULL;
	}
	room += count;
	return err;
}

/* ---- grants: pages of this area, the second half of which may only be read ------------------------- */

char granted[8 * PAGE_SIZE] __attribute__((aligned(4096)));
static void (*leaving)(const uint16_t *windows, unsigned count);

bool host_grant_window(const void *va, unsigned *out_window, bool *out_readonly)
{
	size_t offset = (size_t)((const char *)va - granted);

	if ((const char *)va < granted || offset >= sizeof(granted))
		return false;
	*out_window = HOST_GRANT_WINDOWS - 1 - (unsigned)(offset / PAGE_SIZE);
	*out_readonly = offset >= sizeof(granted) / 2;
	return true;
}

void host_grants_leaving(void (*fn)(const uint16_t *windows, unsigned count))
{
	leaving = fn;
}

void ungrant(unsigned first, unsigned n)
{
	uint16_t windows[8];

	for (unsigned i = 0; i < n; i++)
		windows[i] = (uint16_t)(HOST_GRANT_WINDOWS - 1 - (first + i));
	leaving(windows, n);
}

/* ---- tests ----------------------------------------------------------------------------------------- */

const struct dma_layer *const layer = &dma_io_layer;
struct dma_device dev;
const char *name;
char *page;

void begin(enum dma_policy policy)
{
	dma_io_start(policy);
	dev = (struct dma_device){.bdf = BDF, .mask = ~0ull};
	assert_int_equal(layer->attach(&dev, true, &name), 0);
	page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	silent = false;
	room = ~0u / 2;
	calls = 0;
	said[0] = '\0';
}

int strict(void **state)
{
	begin(DMA_POLICY_STRICT);
	return 0;
}

int lazy(void **state)
{
	begin(DMA_POLICY_LAZY);
	return 0;
}

int end_it(void **state)
{
	free(page);
	layer->detach(&dev);
	assert_false(inside);
	assert_int_equal(blocks, 0);
	return 0;
}

void pieces_of(struct dma_piece *pieces, char *from, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		pieces[i] = (struct dma_piece){.va = from + i * PAGE_SIZE, .len = PAGE_SIZE};
}

void unmap(const struct dma_piece *pieces, unsigned n)
{
	struct dma_extent all[600];

	for (unsigned i = 0; i < n; i++)
		all[i] = (struct dma_extent){.at = pieces[i].at, .len = pieces[i].len};
	layer->unmap(&dev, all, n);
}

void reaches(dma_addr_t addr, const void *va, unsigned rights)
{
	unsigned p = page_of(addr.v & PAGE_MASK);

	assert_true(inside);
	assert_ptr_equal((const char *)at[p].va + addr.v % PAGE_SIZE, va);
	assert_int_equal(at[p].rights, rights);
}

void reaches_not(dma_addr_t addr)
{
	assert_null(at[page_of(addr.v & PAGE_MASK)].va);
}

/* nic_host.c: what mock_host.c is to tests, for the fuzzers of network cards, which start a card for each input.
 *
 * A driver never gives back what its card was told of, so all memory is remembered and freed when the next input begins.
 * Memory, works and time of amphi/host.h, and as much of mock_host.h as nic_world.c calls. Used by virtio_net_fuzz,
 * e1000e_fuzz.
 */
#include <amphi/host.h>

#include <stdlib.h>
#include <string.h>

#include "tests/host/mock_host.h"

#define BLOCKS 8192u
#define WORKS  64u

static void *blocks[BLOCKS];
static unsigned n_blocks;
static struct host_work *works[WORKS];
static uint64_t now_ns;

static void *remember(void *block)
{
	if (n_blocks == BLOCKS) {
		free(block);
		return NULL;
	}
	return blocks[n_blocks++] = block;
}

void *host_alloc(size_t size)
{
	return remember(calloc(1, size));
}
void host_free(void *p, size_t size) {}
void *host_pages_alloc(unsigned count)
{
	void *pages = remember(aligned_alloc(PAGE_SIZE, count * PAGE_SIZE));

	if (pages)
		memset(pages, 0, count * PAGE_SIZE);
	return pages;
}
void host_pages_free(void *pages, unsigned count) {}
maddr_t host_virt_to_maddr(const void *va)
{
	return (maddr_t){(uintptr_t)va};
}

void mock_reset(void)
{
	while (n_blocks)
		free(blocks[--n_blocks]);
	memset(works, 0, sizeof(works));
}

/* ---- works ---- */

static void queue(struct host_work *work, uint64_t delay_ns)
{
	unsigned n = 0;

	if (work->queued)
		return;
	while (n < WORKS && works[n])
		n++;
	HOST_ASSERT(n < WORKS);
	work->due_ns = now_ns + delay_ns;
	work->queued = true;
	works[n] = work;
}

void host_work_soon(struct host_work *work)
{
	queue(work, 0);
}
void host_work_after(struct host_work *work, uint64_t delay_ns)
{
	queue(work, delay_ns);
}
void host_work_cancel(struct host_work *work)
{
	for (unsigned n = 0; n < WORKS; n++)
		if (works[n] == work)
			works[n] = NULL;
	work->queued = false;
}
uint64_t host_time_ns(void)
{
	return now_ns;
}

/* Each that is due, once: what they queue anew is for the next time. */
unsigned mock_run(void)
{
	struct host_work *due[WORKS];
	unsigned n_due = 0;

	for (unsigned n = 0; n < WORKS; n++)
		if (works[n] && works[n]->due_ns <= now_ns)
			due[n_due++] = works[n];
	for (unsigned n = 0; n < n_due; n++) {
		if (!due[n]->queued)
			continue;
		host_work_cancel(due[n]);
		due[n]->fn(due[n]->ctx);
	}
	return n_due;
}

void mock_advance(uint64_t ns)
{
	now_ns += ns;
	(void)mock_run();
}

/* ---- words ---- */

void host_log(enum host_log_level level, const char *fmt, ...) {}
void host_bug(const char *what, const char *file, int line)
{
	abort();
}

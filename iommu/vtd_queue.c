/* vtd_queue.c: tells a VT-d unit what to forget, and waits until it has (VT-d 6.5.2).
 *
 * Callers: vtd.c. Requests go into a page that the unit reads; behind each batch goes one that writes a number into memory, and
 * the batch is done when the number is there. The register interface of older units is not used: every unit that QEMU or a machine of
 * the last fifteen years has knows the queue.
 */
#include <amphi/host_iommu.h>
#include <amphi/string.h>
#include <amphi/xen.h>

#include "vtd.h"

#define QUEUE_ENTRIES 256u

/* Requests (6.5.2.1 and on), the low word; all of a kind, of one space, of one function or page. */
#define CONTEXT      1u
#define PAGES        2u
#define INTERRUPTS   4u
#define WAIT         5u
#define OF_ALL       (1u << 4)
#define OF_SPACE     (2u << 4)
#define OF_ONE       (3u << 4)
#define DRAIN_WRITES (1u << 6)
#define DRAIN_READS  (1u << 7)
#define WAIT_STATUS  (1u << 5)
#define OF_ONE_INDEX (1u << 4) /* of INTERRUPTS; else all */
#define LEAVES_ONLY  (1u << 6) /* of the high word of PAGES */

#define CAP_ONE_PAGE      (1ull << 39)
#define CAP_MASK_MAX(cap) ((unsigned)((cap) >> 48 & 0x3f))

/* Room: every caller waits for its few requests, so the queue is empty when one begins. */
static void put(struct vtd *v, uint64_t low, uint64_t high)
{
	struct vtd_entry *entry = &v->queue[v->tail];

	*entry = (struct vtd_entry){low, high};
	vtd_clean(v, entry, sizeof(*entry));
	v->tail = (v->tail + 1) % QUEUE_ENTRIES;
}

/* A queue that stopped is started again behind what stopped it: the request was ours, and the unit does not know it. */
static int finish(struct vtd *v)
{
	uint32_t want = ++v->asked;

	put(v, WAIT | WAIT_STATUS | (uint64_t)want << 32, v->answer_at.v);
	host_iommu_write64(v->regs, VTD_IQT, (uint64_t)v->tail << 4);
	for (unsigned us = 0; us < IOMMU_ANSWER_US; us++) {
		if (__atomic_load_n(v->answer, __ATOMIC_ACQUIRE) == want)
			return 0;
		if (us % 64 == 63 && (host_iommu_read32(v->regs, VTD_FSTS) & VTD_QUEUE_FAILED))
			break;
		host_iommu_pause();
	}
	host_iommu_log("%s does not do what its queue asks: status %x", v->unit.name,
		       host_iommu_read32(v->regs, VTD_FSTS));
	host_iommu_write32(v->regs, VTD_FSTS, VTD_QUEUE_FAILED);
	return -XEN_EIO;
}

int vtd_queue_start(struct vtd *v)
{
	maddr_t queue;

	v->queue = host_iommu_pages(1, &queue);
	v->answer = host_iommu_pages(1, &v->answer_at);
	if (!v->queue || !v->answer)
		return -XEN_ENOMEM;
	host_iommu_write64(v->regs, VTD_IQT, 0);
	host_iommu_write64(v->regs, VTD_IQA, queue.v);
	return vtd_command(v, VTD_QUEUE, true);
}

void vtd_queue_stop(struct vtd *v)
{
	vtd_command(v, VTD_QUEUE, false);
	if (v->queue)
		host_iommu_pages_free(v->queue, 1);
	if (v->answer)
		host_iommu_pages_free(v->answer, 1);
}

int vtd_forget_all(struct vtd *v)
{
	put(v, CONTEXT | OF_ALL, 0);
	put(v, PAGES | OF_ALL | DRAIN_READS | DRAIN_WRITES, 0);
	return finish(v);
}

int vtd_forget_function(struct vtd *v, uint16_t number, uint16_t bdf)
{
	put(v, CONTEXT | OF_ONE | (uint64_t)number << 16 | (uint64_t)bdf << 32, 0);
	put(v, PAGES | OF_SPACE | DRAIN_READS | DRAIN_WRITES | (uint64_t)number << 16, 0);
	return finish(v);
}

/* One request is for a power of two of pages on a border of its size; a range that is none is widened, which costs the
 * unit a few lookups and nobody else anything. */
int vtd_forget_pages(struct vtd *v, uint16_t number, uint64_t dma, uint64_t len, bool tables)
{
	uint64_t drain = DRAIN_READS | DRAIN_WRITES | (uint64_t)number << 16;
	unsigned order = 0;

	while (len && (dma >> PAGE_SHIFT >> order) != ((dma + len - 1) >> PAGE_SHIFT >> order))
		order++;
	if (!len || !(v->cap & CAP_ONE_PAGE) || order > CAP_MASK_MAX(v->cap))
		put(v, PAGES | OF_SPACE | drain, 0);
	else
		put(v, PAGES | OF_ONE | drain,
		    (dma & ~((PAGE_SIZE << order) - 1)) | order | (tables ? 0 : LEAVES_ONLY));
	return finish(v);
}

int vtd_forget_interrupts(struct vtd *v, const uint8_t *vector)
{
	put(v, vector ? INTERRUPTS | OF_ONE_INDEX | (uint64_t)*vector << 32 : INTERRUPTS, 0);
	return finish(v);
}

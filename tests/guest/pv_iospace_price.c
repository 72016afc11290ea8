/* pv_iospace_price.c: what mapping and unmapping a page in an IO space costs, in ticks of the TSC, which are instructions under QEMU's -icount.
 *
 * Runs as the first domain of amphi-hv, with an `edu` that does nothing meanwhile. Lines: "@iospace NAME N", N for one page mapped and unmapped, in calls
 * of 32 operations: strict (the flush is in the call), deferred (one flush for eight calls); single: in calls of one; block: of 32 pages in one operation.
 * Run by tests/bench/iospace.sh.
 */
#include <amphi/iospace.h>

#include "pv.h"
#include "pv_edu.h"

#define ROUNDS 64u
#define DMA    0x10000000ull
#define RW     (IOSPACE_READ | IOSPACE_WRITE)

static uint8_t pages[IOSPACE_BATCH][FRAME] __attribute__((aligned(4096)));
static struct iospace_op ops[IOSPACE_BATCH];
static uint32_t context;

static void call(unsigned n)
{
	long rc = hypercall(__HYPERVISOR_iospace_op, (uint64_t)ops, n, 0, 0);

	for (unsigned i = 0; i < n && !rc; i++)
		rc = ops[i].status;
	if (!rc)
		return;
	print_number("FAILED -", (uint64_t)-rc);
	end(SHUTDOWN_crash);
}

static void map(unsigned n, uint32_t count)
{
	for (unsigned i = 0; i < n; i++)
		ops[i] = (struct iospace_op){.cmd = IOSPACE_map,
					     .flags = RW,
					     .u.map = {.context = context,
						       .count = count,
						       .dma = DMA + i * FRAME,
						       .frame = edu_frame(pages[i])}};
	call(n);
}

static void unmap(unsigned n, uint32_t count, uint16_t flags)
{
	for (unsigned i = 0; i < n; i++)
		ops[i] = (struct iospace_op){
		    .cmd = IOSPACE_unmap,
		    .flags = flags,
		    .u.unmap = {.context = context, .count = count, .dma = DMA + i * FRAME}};
	call(n);
}

static void price(const char *name, unsigned n, uint32_t count, unsigned flush_every)
{
	uint64_t begin;

	for (unsigned warm = 0; warm < 2; warm++) {
		begin = tsc();
		for (unsigned r = 1; r <= ROUNDS; r++) {
			map(n, count);
			unmap(n, count, flush_every ? IOSPACE_NO_FLUSH : 0);
			if (!flush_every || r % flush_every)
				continue;
			ops[0] = (struct iospace_op){.cmd = IOSPACE_flush_all,
						     .u.flush.context = context};
			call(1);
		}
	}
	print("@iospace ");
	print(name);
	print_number(" ", (tsc() - begin) / ROUNDS / n / count);
}

void guest_main(struct start_info *si)
{
	struct iospace_op op = {.cmd = IOSPACE_alloc};
	struct edu e = {0};

	check("the device", edu_begin(si) && edu_find(&e, 0));
	op.u.alloc.sbdf = e.bdf;
	ops[0] = op;
	call(1);
	context = ops[0].u.alloc.context;
	ops[0] = (struct iospace_op){.cmd = IOSPACE_attach, .u.attach = {e.bdf, context}};
	call(1);
	price("strict", IOSPACE_BATCH, 1, 0);
	price("deferred", IOSPACE_BATCH, 1, 8);
	price("single", 1, 1, 0);
	price("block", 1, IOSPACE_BATCH, 0);
	print("pv_iospace_price: done\n");
	end(SHUTDOWN_poweroff);
}

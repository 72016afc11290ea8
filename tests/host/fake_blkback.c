/* fake_blkback.c: the figures of fake_blkback.h, by the functions of amphi/blkback.h that give them.
 *
 * Caller: ctl_test.c, by way of control/ctl_blkstat.c and ctl_blktrace.c.
 */
#include <stdio.h>

#include <amphi/blkback.h>
#include <amphi/blkif.h>

#include "fake_blkback.h"

char fake_traced[96];

void blkback_for_each(void (*fn)(const struct blkback_info *info, void *ctx), void *ctx)
{
	static const struct blkback_info info = {.guest = 1,
						 .vdev = 51712,
						 .name = "xvda",
						 .connected = true,
						 .n_queues = 2,
						 .stats = {.requests = 100,
							   .bytes_read = 4096,
							   .segments = 180,
							   .merged = 81,
							   .waited = 7,
							   .held = 8,
							   .errors = 9,
							   .refused = 10}};

	fn(&info, ctx);
}

const struct blkback_queue_stats *blkback_queue(const struct blkback_info *info, unsigned number)
{
	static struct blkback_queue_stats queues[2];

	queues[0].bytes_read = 2048;
	queues[0].merged = 80;
	queues[0].latency[BLKBACK_READ][10] = 1;
	queues[0].latency[BLKBACK_READ][12] = 50;
	queues[0].latency[BLKBACK_WRITE][12] = 48;
	queues[1].latency[BLKBACK_OTHER][13] = 1;
	(void)info;
	return number < 2 ? &queues[number] : NULL;
}

void blkback_trace(domid_t guest, unsigned vdev, unsigned every)
{
	snprintf(fake_traced, sizeof(fake_traced), "domain %u disk %u every %u", guest, vdev,
		 every);
}

void blkback_trace_for_each(void (*fn)(const struct blkback_trace *trace, void *ctx), void *ctx)
{
	const struct blkback_trace trace = {.guest = 1,
					    .vdev = 51712,
					    .number = 14,
					    .op = BLKIF_OP_WRITE,
					    .sector = 8,
					    .bytes = 4096,
					    .at_ns = {1000, 1010, 1030, 0, 1060}};

	fn(&trace, ctx);
}

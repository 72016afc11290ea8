/* netback_rate.c: `rate=` of xl-network-configuration: how much a guest may send.
 *
 * The toolstack writes "BYTES,MICROSECONDS" to the key `rate`: so many bytes in each such span, over all queues of an
 * interface. A packet may begin as long as there is credit, and is paid for when it is taken; what it takes too much is the next span's.
 * What is not used is kept up to a burst, as Linux's netback keeps it. Caller: netback_tx.c. Limits what comes from the guest only.
 */
#include <amphi/string.h>

#include "netback_private.h"

#define NS_PER_US      1000ull
#define BURST_BYTES    131072
#define RATE_BYTES_MAX (1ull << 40)
#define RATE_US_MAX    10000000ull

/* "BYTES,USEC"; the toolstack's, so what cannot be read is told and no limit. */
static bool parse(char *text, uint64_t *out_bytes, uint64_t *out_us)
{
	char *comma = strchr(text, ',');

	if (!comma)
		return false;
	*comma = '\0';
	return xenbus_parse_number(text, RATE_BYTES_MAX, out_bytes) &&
	       xenbus_parse_number(comma + 1, RATE_US_MAX, out_us);
}

void vif_rate_read(struct vif *vif)
{
	char text[48];
	uint64_t bytes = 0, us = 0;
	int len = xenbus_read_text(HOST_TX_NONE, vif->bus.path, "rate", text, sizeof(text));

	if (len > 0 && !parse(text, &bytes, &us))
		host_log(HOST_LOG_WARN, "%s: rate is not BYTES,MICROSECONDS: no limit",
			 vif->bus.path);
	if (!bytes || !us)
		bytes = us = 0;
	if (vif->rate.bytes == (int64_t)bytes && vif->rate.span_ns == us * NS_PER_US)
		return;
	vif->rate = (struct vif_rate){
	    .bytes = (int64_t)bytes,
	    .span_ns = us * NS_PER_US,
	    .credit = (int64_t)bytes,
	    .next_ns = host_time_ns() + us * NS_PER_US,
	};
	vif_turn_all(vif); /* who was held may be so no more */
	if (bytes)
		host_log(HOST_LOG_INFO, "%s: at most %llu bytes in %llu us", vif->bus.path,
			 (unsigned long long)bytes, (unsigned long long)us);
}

/* All spans that have gone by since. */
static void refill(struct vif_rate *rate, uint64_t now_ns)
{
	int64_t most = MAX(rate->bytes, (int64_t)BURST_BYTES);
	uint64_t spans;

	if (now_ns < rate->next_ns)
		return;
	spans = 1 + (now_ns - rate->next_ns) / rate->span_ns;
	rate->next_ns += spans * rate->span_ns;
	/* More spans than fill the burst are as good as those; and a product of more could overflow. */
	spans = MIN(spans, (uint64_t)((most - rate->credit) / rate->bytes + 1));
	rate->credit = MIN(rate->credit + (int64_t)spans * rate->bytes, most);
}

bool vif_rate_allows(struct vif_queue *q)
{
	struct vif_rate *rate = &q->vif->rate;
	uint64_t now;

	if (!rate->bytes || rate->credit > 0)
		return true;
	now = host_time_ns();
	refill(rate, now);
	if (rate->credit > 0)
		return true;
	vif_turn_later(q, rate->next_ns - now);
	return false;
}

void vif_rate_use(struct vif *vif, uint32_t bytes)
{
	if (vif->rate.bytes)
		vif->rate.credit -= bytes;
}

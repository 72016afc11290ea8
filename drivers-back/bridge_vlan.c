/* bridge_vlan.c: which VLANs a bridge's port has, and tags put on and taken off.
 *
 * Contract: bridge_vlan.h. Caller: bridge.c. A frame is lent and stays as it is; so one with another tag is a frame of ours, whose
 * headers are a copy and whose other bytes are where they were:
 *
 *      lent    [ addresses | type, headers, data ........ ][ segment ][ segment ]
 *      ours    [ addresses | tag | type, headers ][ data . ][ segment ][ segment ]
 *
 * Worker context. Asks host.h for memory, and keeps some.
 */
#include "bridge_vlan.h"
#include <amphi/host.h>
#include <amphi/net_offload.h>
#include <amphi/string.h>

#define ADDRESSES  12u /* bytes in front of a tag */
#define TAG_BYTES  4u
#define TYPE_VLAN  0x8100u
#define TYPE_OUTER 0x88a8u
#define ID_MASK    0xfffu
#define KEPT_MAX   32u

/* ---- what is said ----------------------------------------------------------------------------- */

/* A VLAN's number up to *at's next sign, or end. */
static bool take_id(const char **at, unsigned least, uint16_t *out)
{
	const char *start = *at;
	unsigned id = 0;

	for (; **at >= '0' && **at <= '9' && id <= VLAN_MAX; ++*at)
		id = id * 10 + (unsigned)(**at - '0');
	*out = (uint16_t)id;
	return *at > start && id >= least && id <= VLAN_MAX;
}

bool vlan_rule_read(const char *text, char *name, size_t cap, struct vlan_rule *out)
{
	size_t len = 0;

	while (text[len] && text[len] != '.' && text[len] != ':')
		len++;
	*out = (struct vlan_rule){.aware = text[len] != 0};
	if (len >= cap)
		return false;
	memcpy(name, text, len);
	name[len] = 0;
	text += len;
	if (*text == '.' && (text++, !take_id(&text, 1, &out->access)))
		return false;
	while (*text == ':' && out->n_trunks < VLAN_TRUNKS) {
		text++;
		if (!take_id(&text, 0, &out->trunks[out->n_trunks++]))
			return false;
	}
	return !*text;
}

/* ---- what may pass ------------------------------------------------------------------------------ */

static bool is_tagged(const uint8_t *head, uint32_t len)
{
	unsigned type = (unsigned)(head[ADDRESSES] << 8 | head[ADDRESSES + 1]);

	return (type == TYPE_VLAN || type == TYPE_OUTER) && len >= NET_HEAD_BYTES + 2;
}

unsigned vlan_tag(const uint8_t *head, uint32_t len)
{
	return is_tagged(head, len) ? (unsigned)(head[14] << 8 | head[15]) & ID_MASK : 0;
}

static bool is_trunk(const struct vlan_rule *rule, unsigned vlan)
{
	for (unsigned i = 0; i < rule->n_trunks; i++)
		if (rule->trunks[i] == vlan)
			return true;
	return false;
}

/* A tag with id 0 says a priority and no VLAN. */
int vlan_in(const struct vlan_rule *rule, unsigned tag)
{
	if (!rule->aware)
		return (int)tag;
	if (!tag && rule->access)
		return rule->access;
	return is_trunk(rule, tag) ? (int)tag : -1;
}

bool vlan_out(const struct vlan_rule *rule, unsigned vlan)
{
	return !rule->aware || (vlan && vlan == rule->access) || is_trunk(rule, vlan);
}

/* ---- other tags ---------------------------------------------------------------------------------- */

struct dressed {
	struct net_frame frame;
	struct net_frame *whole;
	struct dressed *next; /* kept */
	uint8_t head[NET_PARSE_BYTES + TAG_BYTES];
};

static struct dressed *kept;
static unsigned n_kept;

static struct dressed *dressed_get(void)
{
	struct dressed *d = kept;

	if (!d)
		return host_alloc(sizeof(*d));
	kept = d->next;
	n_kept--;
	return d;
}

static void dressed_done(struct net_frame *frame, int status)
{
	struct dressed *d = container_of(frame, struct dressed, frame);
	struct net_frame *whole = d->whole;

	if (n_kept < KEPT_MAX) {
		d->next = kept;
		kept = d;
		n_kept++;
	} else {
		host_free(d, sizeof(*d));
	}
	net_frame_put(whole, status);
}

void vlan_trim(void)
{
	struct dressed *d;

	while ((d = kept)) {
		kept = d->next;
		host_free(d, sizeof(*d));
	}
	n_kept = 0;
}

/* Writes the first n bytes of the frame with the tag `want` (0: none) in place of its own. How long that is. */
static uint32_t write_head(uint8_t *to, const uint8_t *from, uint32_t n, unsigned want)
{
	bool had = is_tagged(from, n);
	uint32_t at = ADDRESSES, skip = ADDRESSES + (had ? TAG_BYTES : 0);

	memcpy(to, from, ADDRESSES);
	if (want) {
		to[at] = had ? from[12] : TYPE_VLAN >> 8;
		to[at + 1] = had ? from[13] : TYPE_VLAN & 0xff;
		to[at + 2] = (uint8_t)((had ? from[14] & 0xf0 : 0) | want >> 8);
		to[at + 3] = (uint8_t)want;
		at += TAG_BYTES;
	}
	memcpy(to + at, from + skip, n - skip);
	return at + n - skip;
}

/* What of the first segment is no header of a packet stays where it is, as a segment of its own. */
static void put_segments(struct dressed *d, const struct net_frame *frame, uint32_t n)
{
	const struct net_segment *first = &frame->segments[0];
	struct net_segment *to = &d->frame.segments[1];
	uint16_t i;

	if (first->len_bytes > n) {
		*to = *first;
		to->va = (uint8_t *)first->va + n;
		to->len_bytes -= n;
		to->offset = (uint16_t)(to->offset + (first->ref.v ? n : 0));
		to++;
	}
	for (i = 1; i < frame->n_segments; i++)
		*to++ = frame->segments[i];
	d->frame.n_segments = (uint16_t)(to - d->frame.segments);
}

/* Under its tag a frame is what it was: the same checksums, cut in the same places. */
static struct net_frame *with_tag(struct net_frame *frame, unsigned want)
{
	uint32_t first = frame->segments[0].len_bytes, n = MIN(first, NET_PARSE_BYTES);
	struct dressed *d;

	if (frame->n_segments + (first > n ? 1u : 0u) > NET_SEGMENTS_MAX ||
	    frame->len_bytes + TAG_BYTES > NET_FRAME_MAX)
		return NULL;
	d = dressed_get();
	if (!d)
		return NULL;
	d->whole = frame;
	d->frame = (struct net_frame){.flags = frame->flags,
				      .gso = frame->gso,
				      .gso_size = frame->gso_size,
				      .hash = frame->hash,
				      .owner = frame->owner,
				      .done = dressed_done,
				      .holders = 1};
	d->frame.segments[0] = (struct net_segment){
	    .va = d->head, .len_bytes = write_head(d->head, frame->segments[0].va, n, want)};
	d->frame.len_bytes = frame->len_bytes - n + d->frame.segments[0].len_bytes;
	put_segments(d, frame, n);
	return &d->frame;
}

/* Who asked for frames without a tag gets none that only says a priority either. */
struct net_frame *vlan_dress(const struct vlan_rule *rule, struct net_frame *frame, unsigned vlan)
{
	const struct net_segment *first = &frame->segments[0];
	unsigned has = vlan_tag(first->va, first->len_bytes);
	unsigned want = rule->aware && vlan == rule->access ? 0 : vlan;
	bool bare = rule->aware && !want && is_tagged(first->va, first->len_bytes);

	return has == want && !bare ? frame : with_tag(frame, want);
}

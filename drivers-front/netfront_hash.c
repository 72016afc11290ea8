/* netfront_hash.c: the hash by which the backend spreads what comes in over the queues, set up over the control ring.
 *
 * Each step is a question whose answer leads to the next; a backend that does not take one of them hashes as it likes, as
 * before. From the flags on it tells the hash of each packet, by an extra info: worth its slot only to a user who asks for it, so
 * this is off until netfront_hash(). Called by netfront.h's callers and around a connection; calls netfront_control.c.
 */
#include <amphi/string.h>

#include "netfront_private.h"

/* Anything that a sender on the network does not know. */
static void make_key(const struct nf_device *dev, uint8_t *key)
{
	uint64_t seed = host_time_ns() ^ (uint64_t)(uintptr_t)dev;

	for (unsigned i = 0; i < NETIF_HASH_KEY_MAX; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		key[i] = (uint8_t)(seed >> 56);
	}
}

/* What a step asks; NULL has no page. data[] is 0 before. */
static void ask_algorithm(struct nf_device *dev, struct nf_call *call)
{
	call->data[0] = dev->hash_wanted ? XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ
					 : XEN_NETIF_CTRL_HASH_ALGORITHM_NONE;
}

static void ask_nothing(struct nf_device *dev, struct nf_call *call) {}

static void ask_flags(struct nf_device *dev, struct nf_call *call)
{
	call->data[0] = dev->hash_answer & NETIF_HASH_TYPES;
}

static void ask_key(struct nf_device *dev, struct nf_call *call)
{
	make_key(dev, call->page);
	call->data[0] = call->ref.v;
	call->data[1] = NETIF_HASH_KEY_MAX;
}

static unsigned map_size(const struct nf_device *dev)
{
	return MIN(dev->hash_size, NETIF_HASH_MAP_MAX);
}

static void ask_map_size(struct nf_device *dev, struct nf_call *call)
{
	dev->hash_size = dev->hash_answer;
	call->data[0] = map_size(dev);
}

static void ask_map(struct nf_device *dev, struct nf_call *call)
{
	uint32_t *map = (uint32_t *)call->page;

	for (unsigned i = 0; i < map_size(dev); i++)
		map[i] = i % dev->n_queues;
	call->data[0] = call->ref.v;
	call->data[1] = map_size(dev);
}

/* A backend without a table (size 0) takes the hash modulo the queues, which is what our table says. */
static const struct step {
	uint16_t type;
	bool with_page;
	void (*ask)(struct nf_device *dev, struct nf_call *call);
} steps[] = {
    {XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, false, ask_algorithm},
    {XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS, false, ask_nothing},
    {XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, false, ask_flags},
    {XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, true, ask_key},
    {XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE, false, ask_nothing},
    {XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, false, ask_map_size},
    {XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, true, ask_map},
};

static void answered(struct nf_device *dev, struct nf_call *call, uint32_t status, uint32_t data);

static void ask(struct nf_device *dev)
{
	const struct step *step = &steps[dev->hash_step];
	struct nf_call *call = nf_call_new(dev, step->type, step->with_page);

	dev->hash_asking = call != NULL;
	if (!call)
		return;
	step->ask(dev, call);
	call->done = answered;
	nf_call_ask(dev, call);
}

/* The last step, or a table of no size: both sides agree. */
static bool is_last(const struct nf_device *dev, uint32_t data)
{
	return dev->hash_step + 1 == ARRAY_SIZE(steps) || !dev->hash_wanted ||
	       (steps[dev->hash_step].type == XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE && !data);
}

static void answered(struct nf_device *dev, struct nf_call *call, uint32_t status, uint32_t data)
{
	dev->hash_asking = false;
	dev->hash_answer = data;
	if (status != XEN_NETIF_CTRL_STATUS_SUCCESS) {
		host_log(HOST_LOG_INFO, "%s: no hash (step %u, status %u)", dev->net.name,
			 dev->hash_step, status);
		dev->stats.hashed = false;
	} else if (is_last(dev, data)) {
		dev->stats.hashed = dev->hash_wanted;
	} else {
		dev->hash_step++;
		ask(dev);
	}
}

void nf_hash_begin(struct nf_device *dev)
{
	dev->hash_asking = dev->stats.hashed = false;
	dev->hash_step = 0;
	if (dev->hash_wanted)
		ask(dev);
}

int nf_hash_set(struct nf_device *dev, bool on)
{
	if (!dev->connected || !dev->control.ring.shared)
		return -XEN_EOPNOTSUPP;
	if (dev->hash_asking)
		return -XEN_EBUSY;
	dev->hash_wanted = on;
	dev->hash_step = 0;
	dev->stats.hashed &= on;
	ask(dev);
	return dev->hash_asking ? 0 : -XEN_ENOMEM;
}

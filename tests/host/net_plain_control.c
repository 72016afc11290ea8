/* net_plain_control.c: the control ring of net_plain_back.h: staging and hashing as a backend that has both does them.
 *
 * Called by net_plain_back.c around a connection, and by the guest's questions; calls the mock world as domain 0. It checks
 * what a frontend promises: one page of entries, and queues that there are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net_plain_back.h"

#define OKAY    XEN_NETIF_CTRL_STATUS_SUCCESS
#define NO      XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED
#define INVALID XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER

/* NULL: it is granted no more, as when somebody else has answered the question in this ring before. */
static void *map_table(uint32_t ref, struct host_grant_map *map)
{
	*map = (struct host_grant_map){.owner = 1, .ref = {ref}};
	return host_grants_map(map, 1) || map->status != GNTST_okay ? NULL : map->page;
}

static uint32_t add_pages(const uint32_t *data)
{
	struct host_grant_map map;
	const struct xen_netif_gref *list = map_table(data[1], &map);
	uint32_t status = OKAY;

	if (!list)
		return INVALID;
	if (data[0] >= nb.n_queues || data[2] > nb.staging || data[2] > NETIF_STAGED_PER_PAGE)
		mock_bug("queue %u, %u pages", data[0], data[2]);
	for (unsigned i = 0; i < data[2]; i++) {
		struct host_grant_map *k = &nb.kept[nb.n_kept++];

		*k = (struct host_grant_map){.owner = 1,
					     .ref = {list[i].ref},
					     .readonly =
						 list[i].flags & XEN_NETIF_CTRLF_GREF_readonly};
		if (host_grants_map(k, 1) || k->status != GNTST_okay) {
			nb.n_kept--;
			status = INVALID;
			break;
		}
	}
	host_grants_unmap(&map, 1);
	return status;
}

static uint32_t remove_pages(const uint32_t *data, uint32_t *n_removed)
{
	struct host_grant_map map;
	struct xen_netif_gref *list = map_table(data[1], &map);

	if (!list)
		return INVALID;
	for (unsigned i = 0; i < data[2]; i++) {
		unsigned k = 0;

		while (k < nb.n_kept && nb.kept[k].ref.v != list[i].ref)
			k++;
		list[i].status = k == nb.n_kept ? INVALID : OKAY;
		if (k == nb.n_kept)
			continue;
		host_grants_unmap(&nb.kept[k], 1);
		nb.kept[k] = nb.kept[--nb.n_kept];
		++*n_removed;
	}
	host_grants_unmap(&map, 1);
	return OKAY;
}

static uint32_t set_key(const uint32_t *data)
{
	struct host_grant_map map;
	const void *key;

	if (data[1] > NETIF_HASH_KEY_MAX)
		return XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW;
	key = map_table(data[0], &map);
	if (!key)
		return INVALID;
	memcpy(nb.hash.key, key, data[1]);
	nb.hash.key_len = (uint16_t)data[1];
	host_grants_unmap(&map, 1);
	return OKAY;
}

static uint32_t set_map(const uint32_t *data)
{
	struct host_grant_map map;
	const uint32_t *list = map_table(data[0], &map);

	if (!list)
		return INVALID;
	if (data[1] != nb.hash.n_map || data[2])
		mock_bug("%u entries at %u", data[1], data[2]);
	for (unsigned i = 0; i < data[1]; i++) {
		if (list[i] >= nb.n_queues)
			mock_bug("queue %u", list[i]);
		nb.hash.map[i] = (uint8_t)list[i];
	}
	host_grants_unmap(&map, 1);
	return OKAY;
}

static uint32_t hash_request(const struct xen_netif_ctrl_request *req, uint32_t *out)
{
	switch (req->type) {
	case XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM:
		nb.hash.algorithm = req->data[0];
		return OKAY;
	case XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS:
		*out = NETIF_HASH_TYPES | 0x10;
		return OKAY;
	case XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS:
		nb.hash.types = req->data[0];
		return req->data[0] & ~NETIF_HASH_TYPES ? INVALID : OKAY;
	case XEN_NETIF_CTRL_TYPE_SET_HASH_KEY:
		return set_key(req->data);
	case XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE:
		*out = nb.hash_map;
		return OKAY;
	case XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE:
		nb.hash.n_map = (uint16_t)req->data[0];
		return req->data[0] > nb.hash_map ? INVALID : OKAY;
	default:
		return set_map(req->data);
	}
}

static uint32_t carry_out(const struct xen_netif_ctrl_request *req, uint32_t *out)
{
	if (req->type == nb.hash_fail)
		return INVALID;
	if (req->type < XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE)
		return hash_request(req, out);
	if (!nb.staging)
		return NO;
	if (req->type == XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING)
		return add_pages(req->data);
	if (req->type == XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING)
		return remove_pages(req->data, out);
	*out = nb.staging;
	return OKAY;
}

void nb_ctrl_answer(const struct xen_netif_ctrl_request *req, uint32_t status, uint32_t data)
{
	struct xen_netif_ctrl_response rsp = {req->id, req->type, status, data};

	mock_enter(0);
	memcpy((void *)ring_slot(&nb.ctrl, nb.ctrl.out++), &rsp, sizeof(rsp));
	if (ring_back_push(&nb.ctrl))
		host_event_notify(nb.port_ctrl);
}

static void on_event(void *ctx)
{
	while (!nb.mute && ring_back_arm(&nb.ctrl, 1) > 0) {
		struct xen_netif_ctrl_request req;
		uint32_t status, data = 0;

		memcpy(&req, (const void *)ring_slot(&nb.ctrl, nb.ctrl.in++), sizeof(req));
		nb.asked[req.type % ARRAY_SIZE(nb.asked)]++;
		status = carry_out(&req, &data);
		nb_ctrl_answer(&req, status, data);
	}
}

void nb_ctrl_take(void)
{
	gref_t ref = {nb_front_number("", "ctrl-ring-ref")};
	void *va;

	if (!nb.control && ref.v && !nb.passive)
		mock_bug("a control ring that nobody asked for");
	if (!nb.control || !ref.v || host_ring_map(1, &ref, 1, &va))
		return;
	ring_init(&nb.ctrl, va, 1, NETIF_CTRL_BYTES);
	if (host_event_bind(1, nb_front_number("", "event-channel-ctrl"), on_event, NULL,
			    &nb.port_ctrl))
		mock_bug("no event channel for the control ring");
}

void nb_ctrl_drop(void)
{
	if (nb.port_ctrl.v)
		host_event_close(nb.port_ctrl);
	if (nb.ctrl.shared)
		host_ring_unmap(nb.ctrl.shared, 1);
	nb.port_ctrl.v = 0;
	memset(&nb.ctrl, 0, sizeof(nb.ctrl));
}

/* netback_ctrl.c: a guest's control ring: the hash it wants, and pages that it has us keep mapped.
 *
 * Messages and their answers are those of xen/io/netif.h ("Control requests"); each is copied once and answered in turn.
 * A guest that has no control ring has none of this. Called by netback.c when a guest connects, and by the guest's
 * notifications; calls netback_staging.c for pages. What a message says wrong is in its answer and ends nothing.
 */
#include <amphi/string.h>

#include "netback_private.h"

#define TURN 32 /* messages; a guest that goes on waits as the others do */

#define OK      XEN_NETIF_CTRL_STATUS_SUCCESS
#define INVALID XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER
#define TOO_BIG XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW

typedef uint32_t message_fn(struct vif *vif, const uint32_t *data, uint32_t *out);

/* ---- pages that messages name ------------------------------------------------------------- */

/* len bytes from the beginning of the guest's page, or to it. */
static bool copy(struct vif *vif, uint32_t ref, bool out, uint32_t len)
{
	struct gnttab_copy op = {.len = (uint16_t)len};

	op.flags = out ? GNTCOPY_dest_gref : GNTCOPY_source_gref;
	op.source.domid = out ? DOMID_SELF : vif->bus.peer;
	op.dest.domid = out ? vif->bus.peer : DOMID_SELF;
	if (out) {
		op.source.u.gmfn = maddr_to_mfn(host_virt_to_maddr(vif->ctrl.page)).v;
		op.dest.u.ref = ref;
	} else {
		op.source.u.ref = ref;
		op.dest.u.gmfn = maddr_to_mfn(host_virt_to_maddr(vif->ctrl.page)).v;
	}
	(void)host_grants_copy(&op, 1);
	return op.status == GNTST_okay;
}

bool vif_ctrl_fetch(struct vif *vif, uint32_t ref, void *to, size_t len)
{
	HOST_ASSERT(len <= PAGE_SIZE);
	if (!copy(vif, ref, false, (uint32_t)len))
		return false;
	memcpy(to, vif->ctrl.page, len);
	return true;
}

bool vif_ctrl_put(struct vif *vif, uint32_t ref, const void *from, size_t len)
{
	HOST_ASSERT(len <= PAGE_SIZE);
	memcpy(vif->ctrl.page, from, len);
	return copy(vif, ref, true, (uint32_t)len);
}

/* ---- the hash ------------------------------------------------------------------------------- */

static uint32_t set_algorithm(struct vif *vif, const uint32_t *data, uint32_t *out)
{
	if (data[0] != XEN_NETIF_CTRL_HASH_ALGORITHM_NONE &&
	    data[0] != XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ)
		return INVALID;
	vif->hash.algorithm = data[0];
	return OK;
}

static bool has_algorithm(const struct vif *vif)
{
	return vif->hash.algorithm != XEN_NETIF_CTRL_HASH_ALGORITHM_NONE;
}

static uint32_t get_flags(struct vif *vif, const uint32_t *data, uint32_t *out)
{
	if (!has_algorithm(vif))
		return XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED;
	*out = NETIF_HASH_TYPES;
	return OK;
}

static uint32_t set_flags(struct vif *vif, const uint32_t *data, uint32_t *out)
{
	if (!has_algorithm(vif) || (data[0] & ~(uint32_t)NETIF_HASH_TYPES))
		return INVALID;
	vif->hash.types = data[0];
	return OK;
}

/* A new key is the whole key: what it does not say is zero. */
static uint32_t set_key(struct vif *vif, const uint32_t *data, uint32_t *out)
{
	uint8_t key[NETIF_HASH_KEY_MAX];

	if (data[1] > NETIF_HASH_KEY_MAX)
		return TOO_BIG;
	if (data[1] && !vif_ctrl_fetch(vif, data[0], key, data[1]))
		return INVALID;
	memcpy(vif->hash.key, key, data[1]);
	vif->hash.key_len = (uint16_t)data[1];
	return OK;
}

static uint32_t get_map_size(struct vif *vif, const uint32_t *data, uint32_t *out)
{
	*out = NETIF_HASH_MAP_MAX;
	return OK;
}

static uint32_t set_map_size(struct vif *vif, const uint32_t *data, uint32_t *out)
{
	if (data[0] > NETIF_HASH_MAP_MAX)
		return INVALID;
	vif->hash.n_map = (uint16_t)data[0];
	memset(vif->hash.map, 0, sizeof(vif->hash.map));
	return OK;
}

/* Checked whole before any of it counts. */
static uint32_t set_map(struct vif *vif, const uint32_t *data, uint32_t *out)
{
	uint32_t map[NETIF_HASH_MAP_MAX], n = data[1], from = data[2];

	if (n > NETIF_HASH_MAP_MAX)
		return TOO_BIG;
	if (n == 0 || from > vif->hash.n_map || n > vif->hash.n_map - from ||
	    !vif_ctrl_fetch(vif, data[0], map, n * sizeof(map[0])))
		return INVALID;
	for (uint32_t i = 0; i < n; i++)
		if (map[i] >= vif->n_queues)
			return INVALID;
	for (uint32_t i = 0; i < n; i++)
		vif->hash.map[from + i] = (uint8_t)map[i];
	return OK;
}

/* ---- pages kept mapped ------------------------------------------------------------------------ */

static uint32_t get_staging(struct vif *vif, const uint32_t *data, uint32_t *out)
{
	if (data[0] >= vif->n_queues)
		return INVALID;
	*out = vif_staging_size(&vif->queues[data[0]]);
	return OK;
}

static uint32_t add_staging(struct vif *vif, const uint32_t *data, uint32_t *out)
{
	return data[0] < vif->n_queues ? vif_staging_add(&vif->queues[data[0]], data) : INVALID;
}

static uint32_t del_staging(struct vif *vif, const uint32_t *data, uint32_t *out)
{
	return data[0] < vif->n_queues ? vif_staging_del(&vif->queues[data[0]], data, out)
				       : INVALID;
}

/* ---- the ring ----------------------------------------------------------------------------------- */

static message_fn *const messages[] = {
    [XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS] = get_flags,
    [XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS] = set_flags,
    [XEN_NETIF_CTRL_TYPE_SET_HASH_KEY] = set_key,
    [XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE] = get_map_size,
    [XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE] = set_map_size,
    [XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING] = set_map,
    [XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM] = set_algorithm,
    [XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE] = get_staging,
    [XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING] = add_staging,
    [XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING] = del_staging,
};

static void answer_next(struct vif *vif)
{
	struct ring *ring = &vif->ctrl.ring;
	struct xen_netif_ctrl_request req;
	struct xen_netif_ctrl_response rsp;

	peer_copy_in(&req, ring_slot(ring, ring->in++), sizeof(req));
	rsp = (struct xen_netif_ctrl_response){.id = req.id, .type = req.type};
	rsp.status = XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED;
	if (req.type < ARRAY_SIZE(messages) && messages[req.type])
		rsp.status = messages[req.type](vif, req.data, &rsp.data);
	peer_copy_out(ring_slot(ring, ring->out++), &rsp, sizeof(rsp));
	vif->stats.control++;
}

static void run(void *ctx)
{
	struct vif *vif = ctx;
	int n;

	if (!vif->connected)
		return;
	n = ring_back_fetch(&vif->ctrl.ring);
	vif->ctrl.found = n != 0;
	for (int i = 0; i < MIN(n, TURN); i++)
		answer_next(vif);
	if (ring_back_push(&vif->ctrl.ring))
		host_event_notify(vif->ctrl.port);
	if (n >= 0 && n <= TURN)
		n = ring_back_arm(&vif->ctrl.ring, 1);
	if (n < 0)
		vif_broken(vif, "more control messages than its ring holds");
	else if (n > 0)
		host_work_soon(&vif->ctrl.again);
}

static void on_event(void *ctx)
{
	struct vif *vif = ctx;

	vif->ctrl.found = false;
	run(vif);
	if (!vif->ctrl.found && vif->connected)
		host_event_spurious(vif->ctrl.port);
}

/* ---- connect, drop -------------------------------------------------------------------------------- */

/* Both keys or neither. Messages may be there already: the binding itself is an event. */
int vif_ctrl_connect(struct vif *vif)
{
	static const struct xenbus_number keys[] = {
	    {"ctrl-ring-ref", 0, UINT32_MAX, UINT64_MAX, false},
	    {"event-channel-ctrl", 1, UINT32_MAX, UINT64_MAX, false},
	};
	uint64_t values[ARRAY_SIZE(keys)];
	gref_t ref;
	int err =
	    xenbus_read_numbers(HOST_TX_NONE, vif->bus.peer_path, keys, ARRAY_SIZE(keys), values);

	vif->hash = (struct netif_hash){0};
	vif->ctrl.again = (struct host_work){.fn = run, .ctx = vif};
	if (err || values[0] == UINT64_MAX || values[1] == UINT64_MAX)
		return err;
	vif->ctrl.page = host_pages_alloc(1);
	if (!vif->ctrl.page)
		return -XEN_ENOMEM;
	ref.v = (uint32_t)values[0];
	err = host_ring_map(vif->bus.peer, &ref, 1, &vif->ctrl.va);
	if (err) {
		vif->ctrl.va = NULL;
		return err;
	}
	ring_init(&vif->ctrl.ring, vif->ctrl.va, 1, NETIF_CTRL_BYTES);
	return host_event_bind(vif->bus.peer, (uint32_t)values[1], on_event, vif, &vif->ctrl.port);
}

void vif_ctrl_drop(struct vif *vif)
{
	host_work_cancel(&vif->ctrl.again);
	if (vif->ctrl.port.v)
		host_event_close(vif->ctrl.port);
	if (vif->ctrl.va)
		host_ring_unmap(vif->ctrl.va, 1);
	if (vif->ctrl.page)
		host_pages_free(vif->ctrl.page, 1);
	vif->ctrl = (struct vif_ctrl){0};
}

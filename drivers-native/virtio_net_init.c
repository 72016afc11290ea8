/* virtio_net_init.c: finds a virtio network card, starts it, and describes it as an interface.
 *
 * Modern and transitional devices and, where memory allows, legacy ones (virtio_pci.h). As many queue pairs as the device
 * and its vectors give, up to NIC_QUEUES; a vector more tells of the link and answers of the control queue. Probed by
 * drivers.c.
 */
#include "virtio_net.h"

#include <amphi/drivers.h>
#include <amphi/string.h>

#define DEVICE_NET_OLD 0x1000u
#define DEVICE_NET     0x1041u

#define FEATURES                                                                                   \
	(VNET_FEATURE_CSUM | VNET_FEATURE_GUEST_CSUM | VNET_FEATURE_MTU | VNET_FEATURE_MAC |       \
	 VNET_FEATURE_GUEST_TSO4 | VNET_FEATURE_GUEST_TSO6 | VNET_FEATURE_HOST_TSO4 |              \
	 VNET_FEATURE_HOST_TSO6 | VNET_FEATURE_MRG_RXBUF | VNET_FEATURE_STATUS |                   \
	 VNET_FEATURE_CTRL_VQ | VNET_FEATURE_CTRL_RX | VNET_FEATURE_MQ | VIRTIO_FEATURE_INDIRECT | \
	 VIRTIO_FEATURE_EVENT_IDX)

/* Section 5.1.4. */
enum { CFG_MAC = 0, CFG_MAX_PAIRS = 8, CFG_MTU = 10 };

#define MTU_DEFAULT    1500u
#define MTU_MIN        68u
#define MTU_MAX        65521u
#define QUEUE_AT_LEAST 8u
#define BUFFERS        (3 * VIRTQ_MAX) /* of a queue, at most: in the device, and twice as many lent */

/* ---- start -------------------------------------------------------------------------------------------------- */

/* What is not of use, or not allowed (5.1.3.1), without another. Long frames only where several buffers may hold one. */
static uint64_t with_what_they_need(uint64_t f)
{
	static const struct {
		uint64_t these, need;
	} needs[] = {
	    {VNET_FEATURE_GUEST_TSO4 | VNET_FEATURE_GUEST_TSO6, VNET_FEATURE_GUEST_CSUM},
	    {VNET_FEATURE_GUEST_TSO4 | VNET_FEATURE_GUEST_TSO6, VNET_FEATURE_MRG_RXBUF},
	    {VNET_FEATURE_HOST_TSO4 | VNET_FEATURE_HOST_TSO6, VNET_FEATURE_CSUM},
	    {VNET_FEATURE_CTRL_RX | VNET_FEATURE_MQ, VNET_FEATURE_CTRL_VQ},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(needs); i++)
		if (!(f & needs[i].need))
			f &= ~needs[i].these;
	return f;
}

static int make_queue(struct vnet *v, struct virtio_queue *vq, unsigned index, uint16_t vector)
{
	vq->index = (uint16_t)index;
	vq->q.event_idx = v->features & VIRTIO_FEATURE_EVENT_IDX;
	return virtio_pci_queue(&v->pci, vq, QUEUE_AT_LEAST, vector);
}

/* In the device's order: in and out of each pair, of which it may have more than we use, and the control queue last
 * (5.1.2). */
static int make_queues(struct vnet *v)
{
	uint16_t config = (uint16_t)(v->has_config_vector ? v->nic.n_queues : VIRTIO_NO_VECTOR);
	int err = 0;

	for (unsigned i = 0; i < v->nic.n_queues && !err; i++) {
		struct vnet_pair *pair = vnet_pair_of(v->nic.queues[i]);

		err = make_queue(v, &pair->in, 2 * i, (uint16_t)i);
		if (!err)
			err = make_queue(v, &pair->out, 2 * i + 1, (uint16_t)i);
	}
	if (!err && v->has_control)
		err = make_queue(v, &v->control.vq, 2 * v->max_pairs, config);
	if (!err && config != VIRTIO_NO_VECTOR)
		virtio_pci_config_vector(&v->pci, config);
	return err;
}

/* The same features each time: a device that came back with others is another one. Queues are filled when the device is
 * ready, as before it may not be told of them (3.1.1). */
int vnet_start(struct nic *nic)
{
	struct vnet *v = vnet_of(nic);
	uint64_t features;
	int err = virtio_pci_negotiate(&v->pci, v->features, &features);

	if (!err && features != v->features)
		err = -XEN_EOPNOTSUPP;
	if (!err)
		err = make_queues(v);
	if (err)
		return err;
	virtio_pci_ready(&v->pci);
	for (unsigned i = 0; i < nic->n_queues; i++)
		vnet_refill(nic->queues[i]);
	vnet_control_start(v);
	return 0;
}

/* ---- what the card has ---------------------------------------------------------------------------------------- */

static int add_pair(struct vnet *v)
{
	struct vnet_pair *pair = host_alloc(sizeof(*pair));
	int err;

	if (!pair)
		return -XEN_ENOMEM;
	pair->card = v;
	pair->in.max_size = pair->out.max_size = VIRTQ_MAX;
	err = vnet_slots_init(pair);
	if (!err)
		err = pci_msix_bind(v->pci.pci, &v->pci.msix, v->nic.n_queues, nic_interrupt,
				    &pair->nic);
	if (!err)
		nic_add_queue(&v->nic, &pair->nic, BUFFERS);
	return err;
}

/* One vector is left for the configuration, when there are two. Pairs beyond the first that cannot be had are done
 * without. */
static int add_pairs(struct vnet *v)
{
	unsigned vectors = v->pci.msix.entries;
	int err = add_pair(v);

	if (err)
		return err;
	while (v->nic.n_queues < MIN(v->max_pairs, MIN(NIC_QUEUES, vectors - 1)) && !add_pair(v))
		;
	v->has_config_vector =
	    vectors > v->nic.n_queues &&
	    !pci_msix_bind(v->pci.pci, &v->pci.msix, v->nic.n_queues, vnet_config_interrupt, v);
	return 0;
}

static int add_control(struct vnet *v)
{
	if (!(v->features & VNET_FEATURE_CTRL_VQ))
		return 0;
	v->control.page = dma_page_alloc(&v->nic.dma, &v->control.at);
	v->has_control = v->control.page;
	return v->has_control ? 0 : -XEN_ENOMEM;
}

/* The features are looked at first, as the rest depends on them; they are agreed on by vnet_start. */
static int read_features(struct vnet *v)
{
	int err = virtio_pci_negotiate(&v->pci, FEATURES, &v->features);

	v->nic.dma = v->pci.dma; /* which layer it goes by is known now */
	if (err)
		return err;
	v->features = with_what_they_need(v->features);
	v->header_len = v->features & (VIRTIO_FEATURE_VERSION_1 | VNET_FEATURE_MRG_RXBUF) ? 12 : 10;
	v->max_pairs = 1;
	if (v->features & VNET_FEATURE_MQ)
		v->max_pairs = MAX(virtio_pci_config(&v->pci, CFG_MAX_PAIRS, 2), 1u);
	return 0;
}

/* ---- what the interface is ------------------------------------------------------------------------------------ */

/* One without an address gets one of those that are nobody's (the second bit of the first byte), by its place. */
static void describe_mac(struct vnet *v)
{
	static const uint8_t nobodys[] = {0x02, 'a', 'm', 'p'};
	uint8_t *mac = v->nic.dev.mac;

	memcpy(mac, nobodys, sizeof(nobodys));
	mac[4] = (uint8_t)(v->pci.pci->bdf >> 8);
	mac[5] = (uint8_t)v->pci.pci->bdf;
	for (unsigned i = 0; i < NET_MAC_BYTES && v->features & VNET_FEATURE_MAC; i++)
		mac[i] = (uint8_t)virtio_pci_config(&v->pci, CFG_MAC + i, 1);
}

/* A device that tells its MTU takes no longer frames (5.1.4.1); another one takes what a frame's buffers can hold. */
static void describe_mtu(struct vnet *v)
{
	bool is_told = v->features & VNET_FEATURE_MTU;
	uint32_t most = v->features & VNET_FEATURE_MRG_RXBUF
			    ? MTU_MAX
			    : PAGE_SIZE - VNET_DATA_AT - NET_HEAD_BYTES;
	uint32_t mtu = is_told ? virtio_pci_config(&v->pci, CFG_MTU, 2) : MTU_DEFAULT;

	v->nic.dev.mtu = (uint16_t)MAX(MIN(mtu, most), MTU_MIN);
	v->nic.max_mtu = is_told ? v->nic.dev.mtu : (uint16_t)most;
}

static void describe(struct vnet *v)
{
	static const struct {
		uint64_t feature;
		uint32_t can;
	} abilities[] = {{VNET_FEATURE_CSUM, NET_CAN_CSUM4 | NET_CAN_CSUM6},
			 {VNET_FEATURE_HOST_TSO4, NET_CAN_GSO4},
			 {VNET_FEATURE_HOST_TSO6, NET_CAN_GSO6}};

	describe_mac(v);
	describe_mtu(v);
	v->nic.dev.can = NET_CAN_SEGMENTS;
	for (unsigned i = 0; i < ARRAY_SIZE(abilities); i++)
		if (v->features & abilities[i].feature)
			v->nic.dev.can |= abilities[i].can;
}

static int bring_up(struct vnet *v)
{
	int err = virtio_pci_begin(&v->pci);

	if (!err)
		err = read_features(v);
	if (!err)
		err = add_pairs(v);
	if (!err)
		err = add_control(v);
	/* Anew, as the features were only looked at. */
	if (!err)
		err = virtio_pci_reset_now(&v->pci);
	if (!err)
		err = vnet_start(&v->nic);
	if (err)
		return err;
	describe(v);
	vnet_read_link(v);
	return 0;
}

/* What a device that could not be started was given stays where it is: it may have seen it. */
int virtio_net_probe(const struct pci_function *f)
{
	struct vnet *v;
	int err;

	if (f->vendor != VIRTIO_VENDOR || (f->device != DEVICE_NET && f->device != DEVICE_NET_OLD))
		return -XEN_ENODEV;
	v = host_alloc(sizeof(*v));
	if (!v)
		return -XEN_ENOMEM;
	v->pci.pci = v->nic.pci = f;
	v->pci.dma = (struct dma_device){.bdf = f->bdf, .mask = ~0ull};
	v->nic.ops = &vnet_ops;
	v->nic.stuck_looks = 30; /* a device whose wire is busy elsewhere is slow, and not broken */
	v->nic.phase = NIC_RUNNING;
	err = bring_up(v);
	if (!err)
		err = nic_register(&v->nic);
	if (err)
		pci_disable(f);
	return err;
}

/* virtio_net_control.c: what a virtio-net device is told and tells beside frames.
 *
 * Out, by the control queue (section 5.1.6.5): which frames to take, and how many queue pairs. Nobody waits for an answer:
 * each command says a whole state, so what matters is only that the last one is the one that is wanted. In: the link.
 * Called by nic.c through vnet_ops, by virtio_net_init.c, and by the device's interrupt for its configuration.
 */
#include "virtio_net.h"

#include <amphi/string.h>

enum { CFG_STATUS = 6 };
enum { STATUS_LINK_UP = 1 };
enum { ROW_PAIRS, ROW_PROMISCUOUS, ROW_ALL_MULTICAST, ROWS };

/* In the page that the device shares. */
enum { AT_COMMAND = 0, AT_VALUE = 16, AT_ACK = 64 };
#define ACK_NONE 0xffu

static const struct {
	uint64_t feature;
	uint8_t class, command, value_len;
} rows[ROWS] = {[ROW_PAIRS] = {VNET_FEATURE_MQ, 4, 0, 2},
		[ROW_PROMISCUOUS] = {VNET_FEATURE_CTRL_RX, 0, 0, 1},
		[ROW_ALL_MULTICAST] = {VNET_FEATURE_CTRL_RX, 0, 1, 1}};

static uint16_t wanted(const struct vnet *v, unsigned row)
{
	if (row == ROW_PAIRS)
		return (uint16_t)v->nic.n_queues;
	return row == ROW_PROMISCUOUS ? v->nic.promiscuous : v->nic.n_multicast != 0;
}

static void ask(struct vnet *v, unsigned row, uint16_t value)
{
	struct vnet_control *c = &v->control;
	const struct virtq_piece pieces[] = {{{c->at.v + AT_COMMAND}, 2, false},
					     {{c->at.v + AT_VALUE}, rows[row].value_len, false},
					     {{c->at.v + AT_ACK}, 1, true}};

	c->page[AT_COMMAND] = rows[row].class;
	c->page[AT_COMMAND + 1] = rows[row].command;
	memcpy(c->page + AT_VALUE, &value, sizeof(value));
	c->page[AT_ACK] = ACK_NONE;
	c->asked = row;
	c->asked_value = value;
	c->busy = virtq_add(&c->vq.q, pieces, ARRAY_SIZE(pieces), c);
	if (c->busy && virtq_publish(&c->vq.q))
		virtio_pci_notify(&v->pci, &c->vq);
}

/* A device that refuses is not asked the same again. One that refuses more pairs goes on with one. */
static void answered(struct vnet *v)
{
	struct vnet_control *c = &v->control;
	uint8_t ack = *(volatile uint8_t *)(c->page + AT_ACK);

	c->busy = false;
	c->said[c->asked] = c->asked_value;
	if (ack)
		host_log(HOST_LOG_WARN, "%s: the device refuses command %u.%u", v->nic.dev.name,
			 rows[c->asked].class, rows[c->asked].command);
	else if (c->asked == ROW_PAIRS)
		v->nic.n_out = c->asked_value;
}

void vnet_control_go_on(struct vnet *v)
{
	struct vnet_control *c = &v->control;
	bool bad = false;

	if (!v->has_control)
		return;
	if (c->busy && virtq_take(&c->vq.q, &bad))
		answered(v);
	if (bad)
		nic_reset(&v->nic, "an answer to no command");
	for (unsigned row = 0; row < ROWS && !c->busy; row++)
		if (v->features & rows[row].feature && c->said[row] != wanted(v, row))
			ask(v, row, wanted(v, row));
}

/* A device that was reset has forgotten all, and has one pair. */
void vnet_control_start(struct vnet *v)
{
	v->control.busy = false;
	for (unsigned row = 0; row < ROWS; row++)
		v->control.said[row] = -1;
	v->nic.n_out = 1;
	vnet_control_go_on(v);
}

void vnet_filter(struct nic *nic)
{
	vnet_control_go_on(vnet_of(nic));
}

/* Without the feature the link is always there (5.1.4.2). */
void vnet_read_link(struct vnet *v)
{
	nic_carrier(&v->nic, !(v->features & VNET_FEATURE_STATUS) ||
				 virtio_pci_config(&v->pci, CFG_STATUS, 2) & STATUS_LINK_UP);
}

/* The same vector for both; and a device that has failed says so by it. */
void vnet_config_interrupt(void *ctx)
{
	struct vnet *v = ctx;

	if (v->nic.phase != NIC_RUNNING)
		return;
	if (virtio_pci_status(&v->pci) & VIRTIO_NEEDS_RESET) {
		nic_reset(&v->nic, "the device asks for it");
		return;
	}
	vnet_read_link(v);
	vnet_control_go_on(v);
}

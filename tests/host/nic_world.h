/* nic_world.h: what a driver of a network card is tested in: a user of its interface, frames, a machine without devices.
 *
 * Used by virtio_net_test, e1000e_test and their fuzzers, together with mock_host.c and kernel/net.c; the card itself is
 * played by others (virtio_card.c, the e1000e test). Frames are made of bytes that tell their place, and what comes in is
 * looked at, copied and put, or kept. Not thread safe, one card at a time.
 */
#ifndef TESTS_NIC_WORLD_H
#define TESTS_NIC_WORLD_H

#include "drivers-native/nic.h"

#include <amphi/host_net.h>

/* ---- frames that are sent ---- */

struct nic_frame {
	struct net_frame frame;
	unsigned done; /* how often it was put back, and with what */
	int status;
};

/* A frame of len bytes in n segments of pages of the mock's; its bytes are those of nic_byte(seed, i). With proto 4 or 6 it
 * begins with headers of TCP over that. */
struct nic_frame *nic_world_frame(uint32_t len, unsigned n_segments, unsigned seed);
struct nic_frame *nic_world_tcp(uint32_t len, unsigned proto, unsigned n_segments);
void nic_world_bytes(uint8_t *out, uint32_t len, unsigned seed);
/* Ethernet, IP and TCP headers, as net_parse wants them; returns their length. */
unsigned nic_world_headers(uint8_t *out, uint32_t frame_len, unsigned proto);
void nic_world_send(struct nic_frame *f); /* and kick */

/* ---- what came in ---- */

struct nic_seen {
	unsigned frames, batches, changes, gone, watched;
	/* of the last one */
	uint8_t bytes[NET_FRAME_MAX];
	uint32_t len, n_segments, gso_size;
	uint8_t flags, gso;
	/* kept when keep is set */
	bool keep;
	struct net_frame *kept[4096];
	unsigned n_kept;
	/* sent from within received() */
	bool echo;
};
extern struct nic_seen nic_seen;
void nic_world_put_kept(int status);

/* ---- the interface ---- */

extern struct net_device *nic_dev; /* that was registered last */
void nic_world_begin(void);
void nic_world_attach(void);
uint64_t nic_world_drops(enum net_drop why);
/* What pci_msix_bind was told. */
extern struct nic_world_irq {
	void (*fn)(void *ctx);
	void *ctx;
} nic_irqs[16];
extern unsigned nic_vectors; /* that the card has */
extern unsigned nic_delays;  /* calls of machine_delay_us */
extern bool nic_disabled;    /* pci_disable was called */
/* What a card does meanwhile; NULL: nothing. */
extern void (*nic_on_delay)(void);

#endif

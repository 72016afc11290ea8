/* e1000e_init.c: finds an Intel 82574 (QEMU's e1000e), starts it, and describes it as an interface.
 *
 * One queue each way (its second is of no use to one worker) and two MSI-X vectors. The PHY is left to what it negotiates by
 * itself. Order of the start: datasheet 4.6. Probed by drivers.c.
 */
#include "e1000e.h"

#include <amphi/drivers.h>
#include <amphi/machine.h>
#include <amphi/string.h>

#define VENDOR_INTEL 0x8086u
#define MTU          1500u
#define MTU_MAX      (E1K_FRAME_MAX - NET_HEAD_BYTES - 4u) /* with a tag */
#define BUFFERS      (3 * E1K_RING)
#define RESET_US     1000u
#define RESET_TRIES  100u

static const uint16_t devices[] = {0x10d3, 0x10f6}; /* 82574L, 82574IT */

/* ---- start -------------------------------------------------------------------------------------------------- */

void e1000e_filter(struct nic *nic)
{
	struct e1000e *e = e1000e_of(nic);

	e1000e_write(e, E1K_RCTL,
		     E1K_RCTL_EN | E1K_RCTL_BAM | E1K_RCTL_LPE | E1K_RCTL_4096 | E1K_RCTL_SECRC |
			 (nic->promiscuous ? E1K_RCTL_UPE | E1K_RCTL_MPE : 0) |
			 (nic->n_multicast ? E1K_RCTL_MPE : 0));
}

void e1000e_read_link(struct e1000e *e)
{
	nic_carrier(&e->nic, e1000e_read(e, E1K_STATUS) & E1K_STATUS_LU);
}

/* Written again after each reset, as not every card reads its memory again by itself. */
static void write_addresses(const struct e1000e *e)
{
	const uint8_t *mac = e->nic.dev.mac;
	uint32_t low, high = 0;

	memcpy(&low, mac, 4);
	memcpy(&high, mac + 4, 2);
	e1000e_write(e, E1K_RAL, low);
	e1000e_write(e, E1K_RAH, high | E1K_RAH_AV);
	for (unsigned i = 0; i < E1K_MTA_ENTRIES; i++)
		e->regs[E1K_MTA / 4 + i] = 0;
}

static void start_rings(struct e1000e *e)
{
	static const struct {
		enum e1000e_reg low, high, len, head, tail;
	} rings[] = {{E1K_RDBAL, E1K_RDBAH, E1K_RDLEN, E1K_RDH, E1K_RDT},
		     {E1K_TDBAL, E1K_TDBAH, E1K_TDLEN, E1K_TDH, E1K_TDT}};
	const dma_addr_t at[] = {e->rx_at, e->tx_at};

	memset(e->tx, 0, PAGE_SIZE);
	memset(e->rx, 0, PAGE_SIZE);
	e->tx_next = 0;
	e->tx_free = E1K_RING;
	for (unsigned i = 0; i < ARRAY_SIZE(rings); i++) {
		e1000e_write(e, rings[i].low, (uint32_t)at[i].v);
		e1000e_write(e, rings[i].high, (uint32_t)(at[i].v >> 32));
		e1000e_write(e, rings[i].len, PAGE_SIZE);
		e1000e_write(e, rings[i].head, 0);
		e1000e_write(e, rings[i].tail, 0);
	}
	e1000e_write(e, E1K_TXDCTL, E1K_TXDCTL_82574);
}

static void start_interrupts(struct e1000e *e)
{
	const uint32_t frames = E1K_IVAR_VALID | E1K_VECTOR_FRAMES;

	e1000e_write(e, E1K_IVAR,
		     frames | frames << 8 | (E1K_IVAR_VALID | E1K_VECTOR_OTHER) << 16 |
			 E1K_IVAR_TX_WB);
	e1000e_write(e, E1K_EIAC, E1K_CAUSE_RXQ0 | E1K_CAUSE_TXQ0);
	e1000e_write(e, E1K_IAM, 0);
	e1000e_write(e, E1K_CTRL_EXT,
		     e1000e_read(e, E1K_CTRL_EXT) | E1K_CTRL_EXT_DRV_LOAD | E1K_CTRL_EXT_PBA_CLR);
	(void)e1000e_read(e, E1K_ICR);
	e1000e_write(e, E1K_IMS, E1K_CAUSE_RXQ0 | E1K_CAUSE_TXQ0 | E1K_CAUSE_LSC | E1K_CAUSE_OTHER);
}

int e1000e_start(struct nic *nic)
{
	struct e1000e *e = e1000e_of(nic);

	e1000e_write(e, E1K_IMC, ~0u);
	e1000e_write(e, E1K_CTRL,
		     (e1000e_read(e, E1K_CTRL) & ~(E1K_CTRL_FORCE | E1K_CTRL_MASTER_OFF)) |
			 E1K_CTRL_SLU | E1K_CTRL_ASDE);
	write_addresses(e);
	start_rings(e);
	e1000e_write(e, E1K_RXCSUM, E1K_RXCSUM_IPOFL | E1K_RXCSUM_TUOFL);
	e1000e_write(e, E1K_TCTL,
		     E1K_TCTL_EN | E1K_TCTL_PSP | E1K_TCTL_CT | E1K_TCTL_COLD | E1K_TCTL_MULR);
	e1000e_filter(nic);
	e1000e_refill(&e->queue); /* after EN: the tail is what makes it begin (4.6.5) */
	start_interrupts(e);
	return 0;
}

/* ---- what the card has ---------------------------------------------------------------------------------------- */

/* Without copies of headers the card cuts no frames. */
static int add_memory(struct e1000e *e)
{
	uint8_t *page = NULL;
	dma_addr_t at = {0};

	e->tx = dma_page_alloc(&e->nic.dma, &e->tx_at);
	e->rx = dma_page_alloc(&e->nic.dma, &e->rx_at);
	if (!e->tx || !e->rx)
		return -XEN_ENOMEM;
	for (unsigned i = 0; i < E1K_HEADS; i++) {
		unsigned offset = i * NET_PARSE_BYTES % PAGE_SIZE;

		if (!offset)
			page = dma_page_alloc(&e->nic.dma, &at);
		if (!page)
			return -XEN_ENOMEM;
		e->heads[i] = page + offset;
		e->heads_at[i] = (dma_addr_t){at.v + offset};
	}
	return 0;
}

void e1000e_free(struct nic *nic)
{
	struct e1000e *e = e1000e_of(nic);

	host_pages_free(e->tx, 1);
	host_pages_free(e->rx, 1);
	for (unsigned i = 0; i < E1K_HEADS; i += PAGE_SIZE / NET_PARSE_BYTES)
		host_pages_free(e->heads[i], 1);
	machine_mmio_unmap((void *)e->regs, E1K_REGISTERS);
	host_free(e, sizeof(*e));
}

static int add_vectors(struct e1000e *e)
{
	int err = pci_msix_find(e->nic.pci, &e->msix);

	if (!err && e->msix.entries <= E1K_VECTOR_OTHER)
		err = -XEN_ENODEV;
	if (!err)
		err = pci_msix_bind(e->nic.pci, &e->msix, E1K_VECTOR_FRAMES, nic_interrupt,
				    &e->queue);
	if (!err)
		err = pci_msix_bind(e->nic.pci, &e->msix, E1K_VECTOR_OTHER, e1000e_other_interrupt,
				    e);
	return err;
}

static int reset_now(struct e1000e *e)
{
	int err;

	e1000e_ops.stop(&e->nic);
	for (unsigned n = 0; n < RESET_TRIES; n++) {
		machine_delay_us(RESET_US);
		err = e1000e_ops.is_stopped(&e->nic);
		if (err != -XEN_EAGAIN)
			return err;
	}
	return -XEN_EBUSY;
}

/* What the reset has loaded from the card's own memory. */
static void describe(struct e1000e *e)
{
	uint32_t low = e1000e_read(e, E1K_RAL), high = e1000e_read(e, E1K_RAH);

	memcpy(e->nic.dev.mac, &low, 4);
	memcpy(e->nic.dev.mac + 4, &high, 2);
	e->nic.dev.mtu = MTU;
	e->nic.max_mtu = MTU_MAX;
	e->nic.dev.can =
	    NET_CAN_SEGMENTS | NET_CAN_CSUM4 | NET_CAN_CSUM6 | NET_CAN_GSO4 | NET_CAN_GSO6;
}

static int bring_up(struct e1000e *e)
{
	maddr_t bar;
	int err;

	if (!pci_bar(e->nic.pci, 0, &bar))
		return -XEN_ENODEV;
	pci_enable(e->nic.pci);
	e->regs = machine_mmio_map(bar, E1K_REGISTERS);
	if (!e->regs)
		return -XEN_ENOMEM;
	err = reset_now(e);
	if (!err)
		err = add_memory(e);
	if (!err)
		err = add_vectors(e);
	if (err)
		return err;
	nic_add_queue(&e->nic, &e->queue, BUFFERS);
	e->nic.n_out = 1;
	describe(e);
	(void)e1000e_start(&e->nic);
	e1000e_read_link(e);
	return nic_register(&e->nic);
}

static bool is_ours(const struct pci_function *f)
{
	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++)
		if (f->vendor == VENDOR_INTEL && f->device == devices[i])
			return true;
	return false;
}

/* What a card that could not be started was given stays where it is: it may have seen it. */
int e1000e_probe(const struct pci_function *f)
{
	struct e1000e *e;
	int err;

	if (!is_ours(f))
		return -XEN_ENODEV;
	e = host_alloc(sizeof(*e));
	if (!e)
		return -XEN_ENOMEM;
	e->nic.pci = f;
	e->nic.dma = (struct dma_device){.bdf = f->bdf, .mask = ~0ull};
	e->nic.ops = &e1000e_ops;
	e->nic.stuck_looks = 5;
	e->nic.phase = NIC_RUNNING;
	err = dma_attach(&e->nic.dma, true);
	if (!err)
		err = bring_up(e);
	if (err)
		pci_disable(f);
	return err;
}

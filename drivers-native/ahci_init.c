/* ahci_init.c: finds AHCI controllers, starts their ports, and registers the disks.
 *
 * A port with nothing on it is left alone; so is one with a port multiplier, or a disk of before 48-bit addresses. Interrupts are one MSI for the controller: there is no driver for pin interrupts. AHCI 1.3.1 section 10
 * (initialisation), ATA8-ACS 7.16 (IDENTIFY). The data path is ahci.c. Called by drivers.c.
 */
#include "ahci.h"

#include <amphi/drivers.h>
#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/machine.h>
#include <amphi/peer.h>
#include <amphi/printf.h>

#define CLASS_AHCI    0x010601u
#define BAR_REGISTERS 5u
#define PORTS_AT      0x100u
#define PORT_BYTES    0x80u
#define FIS_AT        1024u /* received frames, behind the command list */

#define STOP_MS  500u /* what the specification allows an engine for stopping */
#define RESET_MS 1000u
#define LINK_MS  10u /* after which nobody is there (section 10.1.2) */
#define READY_MS 10000u

#define SERIAL_CHARS 20u

/* ---- the port's engine --------------------------------------------------------------------------- */

static bool wait_until(const struct ahci_port *p, enum ahci_port_reg reg, uint32_t mask,
		       uint32_t want, unsigned ms)
{
	for (unsigned n = 0; n < ms * 10; n++) {
		if ((ahci_read(p, reg) & mask) == want)
			return true;
		machine_delay_us(100);
	}
	return false;
}

/* Commands first; frames go on being received, or the one that ends a reset would be lost. */
bool ahci_stop(struct ahci_port *p)
{
	ahci_write(p, PORT_CMD, ahci_read(p, PORT_CMD) & ~CMD_START);
	return wait_until(p, PORT_CMD, CMD_LIST_RUNNING, 0, STOP_MS);
}

void ahci_start(struct ahci_port *p)
{
	ahci_write(p, PORT_SERR, ~0u);
	ahci_write(p, PORT_IS, ~0u);
	ahci_write(p, PORT_CMD, ahci_read(p, PORT_CMD) | CMD_START);
	ahci_write(p, PORT_IE, IS_DONE | IS_CHANGE | IS_ERRORS);
}

/* Detection to 1 for a millisecond, and back (section 10.4.2). */
void ahci_comreset(struct ahci_port *p)
{
	uint32_t control = ahci_read(p, PORT_SCTL) & ~0xfu;

	ahci_write(p, PORT_IE, 0);
	ahci_write(p, PORT_SCTL, control | 1);
	machine_delay_us(1000);
	ahci_write(p, PORT_SCTL, control);
}

bool ahci_is_ready(const struct ahci_port *p)
{
	return SSTS_DETECT(ahci_read(p, PORT_SSTS)) == SSTS_PRESENT &&
	       !(ahci_read(p, PORT_TFD) & (TFD_BUSY | TFD_DRQ));
}

static void write64(const struct ahci_port *p, enum ahci_port_reg reg, uint64_t value)
{
	ahci_write(p, reg, (uint32_t)value);
	*(volatile uint32_t *)(p->regs + reg + 4) = (uint32_t)(value >> 32);
}

/* The firmware's driver may have left it running: memory is changed only when it is not. */
static int take_port(struct ahci_port *p)
{
	uint32_t command;

	if (!ahci_stop(p))
		return -XEN_EBUSY;
	command = ahci_read(p, PORT_CMD) & ~CMD_FIS_RECEIVE;
	ahci_write(p, PORT_CMD, command);
	if (!wait_until(p, PORT_CMD, CMD_FIS_RUNNING, 0, STOP_MS))
		return -XEN_EBUSY;
	p->list = dma_page_alloc(&p->hba->dma, &p->page_at);
	if (!p->list)
		return -XEN_ENOMEM;
	write64(p, PORT_CLB, p->page_at.v);
	write64(p, PORT_FB, p->page_at.v + FIS_AT);
	ahci_write(p, PORT_CMD, command | CMD_FIS_RECEIVE | CMD_SPIN_UP | CMD_POWER_ON);
	return 0;
}

/* -XEN_ENODEV: nothing is on it. The reset is one more, for the frame that ends it: now there is memory for it. */
static int wake_port(struct ahci_port *p)
{
	ahci_comreset(p);
	if (!wait_until(p, PORT_SSTS, 0xf, SSTS_PRESENT, LINK_MS))
		return -XEN_ENODEV;
	ahci_write(p, PORT_SERR, ~0u);
	if (!wait_until(p, PORT_TFD, TFD_BUSY | TFD_DRQ, 0, READY_MS))
		return -XEN_EBUSY;
	p->is_cd = ahci_read(p, PORT_SIG) == SIG_CD;
	if (p->is_cd)
		ahci_write(p, PORT_CMD, ahci_read(p, PORT_CMD) | CMD_PACKETS);
	return p->is_cd || ahci_read(p, PORT_SIG) == SIG_DISK ? 0 : -XEN_EOPNOTSUPP;
}

/* ---- identify --------------------------------------------------------------------------------------- */

static uint64_t words(const uint16_t *id, unsigned first, unsigned n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 16 | id[first + n];
	return v;
}

/* Texts have two characters in each word, the first in its upper half, and blanks at their ends. */
static void take_serial(struct ahci_port *p, const uint16_t *id)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SERIAL_CHARS; i++) {
		char c = (char)(id[10 + i / 2] >> (i % 2 ? 0 : 8));

		if (c > ' ' || (n && c == ' '))
			p->disk.serial[n++] = c;
	}
	while (n && p->disk.serial[n - 1] == ' ')
		n--;
	p->disk.serial[n] = '\0';
}

/* Word 106: bit 12, sectors are larger than 512 bytes (117: how many words); bit 13, 2^(bits 0-3) of them are one on
 * the medium. */
static int take_sizes(struct ahci_port *p, const uint16_t *id)
{
	bool has_106 = (id[106] & 0xc000) == 0x4000;
	uint64_t bytes = has_106 && id[106] & 1u << 12 ? 2 * words(id, 117, 2) : SECTOR_SIZE;

	if (bytes != 512 && bytes != 4096)
		return -XEN_EOPNOTSUPP;
	p->sector_shift = bytes == 512 ? 9 : 12;
	p->disk.sector_size = (uint32_t)bytes;
	if (has_106 && id[106] & 1u << 13)
		p->disk.physical_sector_size = (uint32_t)bytes << MIN(id[106] & 0xf, 7);
	p->disk.sectors = words(id, 100, 4) << (p->sector_shift - 9);
	return p->disk.sectors ? 0 : -XEN_EOPNOTSUPP;
}

/* Words 83 and 84: what there is of commands (48-bit addresses: bit 10, FLUSH EXT: 13; FUA: 6); 76 and 75: queued
 * ones, and how many; 169: TRIM. */
static int take_identity(struct ahci_port *p, const uint16_t *id)
{
	bool has_84 = (id[84] & 0xc000) == 0x4000;
	int err = take_sizes(p, id);

	if (err || !(id[83] & 1u << 10))
		return err ? err : -XEN_EOPNOTSUPP;
	take_serial(p, id);
	p->has_ncq = p->hba->cap & CAP_NCQ && id[76] & 1u << 8 && id[76] != 0xffff;
	if (p->has_ncq)
		p->depth = MIN((id[75] & 31) + 1u, CAP_SLOTS(p->hba->cap));
	p->disk.has_flush = id[83] & 1u << 13;
	p->disk.has_fua = has_84 && id[84] & 1u << 6;
	p->disk.has_discard = id[169] & 1;
	return 0;
}

/* A failed command leaves the engine stopped, or about to. */
int ahci_wait_now(struct ahci_port *p)
{
	uint32_t is;

	peer_wmb();
	ahci_write(p, PORT_CI, 1);
	for (unsigned n = 0; n < RESET_MS * 10; n++) {
		machine_delay_us(100);
		is = ahci_read(p, PORT_IS) & IS_ERRORS;
		if (is || !(ahci_read(p, PORT_CI) & 1))
			break;
	}
	peer_rmb();
	if (!(ahci_read(p, PORT_IS) & IS_ERRORS) && !(ahci_read(p, PORT_TFD) & TFD_ERR))
		return ahci_read(p, PORT_CI) & 1 ? -XEN_EBUSY : 0;
	if (!ahci_stop(p))
		return -XEN_EBUSY;
	ahci_start(p);
	ahci_write(p, PORT_IE, 0);
	return -XEN_EIO;
}

int ahci_ask_now(struct ahci_port *p, unsigned question)
{
	ahci_make_question(p, 0, question);
	return ahci_wait_now(p);
}

/* -XEN_EBUSY: no answer, and the page is still the device's. */
static int identify(struct ahci_port *p)
{
	dma_addr_t at;
	uint16_t *page = dma_page_alloc(&p->hba->dma, &at);
	int err;

	if (!page)
		return -XEN_ENOMEM;
	ahci_make_plain(p, 0, p->is_cd ? ATA_IDENTIFY_PACKET : ATA_IDENTIFY, at, SECTOR_SIZE);
	err = ahci_wait_now(p);
	if (!err && p->is_cd)
		take_serial(p, page);
	else if (!err)
		err = take_identity(p, page);
	if (err != -XEN_EBUSY)
		dma_page_free(&p->hba->dma, page, at);
	return err;
}

/* ---- ports ------------------------------------------------------------------------------------------- */

static int alloc_tables(struct ahci_port *p, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++) {
		p->slots[i].table = dma_page_alloc(&p->hba->dma, &p->slots[i].table_at);
		if (!p->slots[i].table)
			return -XEN_ENOMEM;
	}
	return 0;
}

static void describe(struct ahci_port *p)
{
	static unsigned disks, drives;
	struct block_device *d = &p->disk;

	if (p->is_cd)
		fmt_text(d->name, sizeof(d->name), "sr%u", drives++);
	else
		fmt_text(d->name, sizeof(d->name), "sd%c", (char)('a' + disks++ % 26));
	fmt_text(p->watch.name, sizeof(p->watch.name), "%s", d->name);
	d->ops = &ahci_block_ops;
	d->driver = p;
	d->pci = p->hba->pci->bdf;
	d->max_segments = AHCI_SEGMENTS;
	d->n_queues = 1;
	d->queue_depth = p->depth;
	if (p->is_cd)
		ahci_cd_start(p);
}

static int start_port(struct ahci_port *p)
{
	int err = take_port(p);

	if (!err)
		err = wake_port(p);
	if (!err)
		err = alloc_tables(p, 0, 1);
	if (err)
		return err;
	ahci_start(p);
	ahci_write(p, PORT_IE, 0);
	p->depth = 1;
	err = identify(p);
	return err ? err : alloc_tables(p, 1, p->depth);
}

/* A port that is given up keeps its memory, which its device may know of. */
static void add_port(struct ahci *hba, unsigned i)
{
	struct ahci_port *p = host_alloc(sizeof(*p));
	int err;

	if (!p)
		return;
	p->hba = hba;
	p->index = i;
	p->regs = hba->regs + PORTS_AT + i * PORT_BYTES;
	disk_waiting_init(&p->waiting);
	err = start_port(p);
	if (err && err != -XEN_ENODEV)
		host_log(HOST_LOG_WARN, "ahci port %u: not usable, error %d", i, -err);
	if (err)
		return;
	describe(p);
	ahci_watch_init(p);
	hba->ports[i] = p;
	ahci_start(p);
	host_block_register(&p->disk);
	disk_watch_started(&p->watch, hba->pci->bdf);
}

static uint32_t read32(const struct ahci *hba, enum ahci_reg reg)
{
	return *(volatile uint32_t *)(hba->regs + reg);
}

static void write32(const struct ahci *hba, enum ahci_reg reg, uint32_t value)
{
	*(volatile uint32_t *)(hba->regs + reg) = value;
}

static int reset(struct ahci *hba)
{
	write32(hba, AHCI_GHC, GHC_AHCI);
	write32(hba, AHCI_GHC, GHC_AHCI | GHC_RESET);
	for (unsigned n = 0; read32(hba, AHCI_GHC) & GHC_RESET && n < RESET_MS * 10; n++)
		machine_delay_us(100);
	if (read32(hba, AHCI_GHC) & GHC_RESET)
		return -XEN_EBUSY;
	write32(hba, AHCI_GHC, GHC_AHCI);
	return 0;
}

static volatile uint32_t *port_reg(const struct ahci *hba, unsigned i, enum ahci_port_reg reg)
{
	return (volatile uint32_t *)(hba->regs + PORTS_AT + i * PORT_BYTES + reg);
}

/* Bits of the ports with something on them. All are woken at once, and waited for once: most have nothing. */
static uint32_t find_ports(const struct ahci *hba)
{
	uint32_t all = read32(hba, AHCI_PI), found = 0;

	for (uint32_t left = all; left; left &= left - 1)
		*port_reg(hba, (unsigned)__builtin_ctz(left), PORT_CMD) |=
		    CMD_SPIN_UP | CMD_POWER_ON;
	for (unsigned n = 0; found != all && n < LINK_MS * 10; n++) {
		if (n)
			machine_delay_us(100);
		for (uint32_t left = all & ~found; left; left &= left - 1) {
			unsigned i = (unsigned)__builtin_ctz(left);

			if (SSTS_DETECT(*port_reg(hba, i, PORT_SSTS)) == SSTS_PRESENT)
				found |= 1u << i;
		}
	}
	return found;
}

/* As many of them as there are: what lies behind a controller's last port may be another device's, and a
 * hypervisor that knows it maps us nothing then. */
static int map_registers(struct ahci *hba, maddr_t bar)
{
	uint32_t ports;

	hba->regs = machine_mmio_map(bar, PORTS_AT);
	ports = hba->regs ? read32(hba, AHCI_PI) : 0;
	if (ports)
		hba->regs = machine_mmio_map(
		    bar, PORTS_AT + (32u - (unsigned)__builtin_clz(ports)) * PORT_BYTES);
	return hba->regs ? 0 : -XEN_ENOMEM;
}

/* Interrupts are on before the first disk is registered, whose first requests may come from there. */
static int bring_up(struct ahci *hba)
{
	maddr_t bar;
	int err;

	if (!pci_bar(hba->pci, BAR_REGISTERS, &bar))
		return -XEN_ENXIO;
	pci_enable(hba->pci);
	err = map_registers(hba, bar);
	if (err)
		return err;
	hba->cap = read32(hba, AHCI_CAP);
	hba->dma = (struct dma_device){.bdf = hba->pci->bdf,
				       .mask = hba->cap & CAP_64 ? ~0ull : 0xffffffffull};
	err = dma_attach(&hba->dma, true);
	if (!err)
		err = reset(hba);
	if (!err)
		err = pci_msi_bind(hba->pci, ahci_interrupt, hba);
	if (err)
		return err;
	write32(hba, AHCI_IS, ~0u);
	write32(hba, AHCI_GHC, GHC_AHCI | GHC_IRQ);
	for (uint32_t left = find_ports(hba); left; left &= left - 1)
		add_port(hba, (unsigned)__builtin_ctz(left));
	return 0;
}

int ahci_probe(const struct pci_function *f)
{
	struct ahci *hba;

	if (f->class_code != CLASS_AHCI)
		return -XEN_ENODEV;
	hba = host_alloc(sizeof(*hba));
	if (!hba)
		return -XEN_ENOMEM;
	hba->pci = f;
	return bring_up(hba);
}

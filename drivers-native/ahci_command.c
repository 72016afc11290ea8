/* ahci_command.c: makes ATA commands of block requests, in the memory that an AHCI port reads.
 *
 * A command is three things: its header in the port's list, a frame (FIS) with registers as ATA has them, and the list
 * of memory. Reads and writes are queued (NCQ) or not; all else never is. AHCI 1.3.1 section 4.2, ATA8-ACS section 7.
 * Called by ahci.c and ahci_init.c.
 */
#include "ahci.h"
#include "disk_map.h"

#include <amphi/string.h>

#define FIS_WORDS      5u
#define FIS_TO_DEVICE  0x27
#define FIS_IS_COMMAND 0x80
#define DEVICE_LBA     0x40
#define DEVICE_FUA     0x80
#define DSM_TRIM       1u
#define PACKET_DMA     1u

/* A discard's ranges: 64 in the sector that goes along, each of 48 bits of address and 16 of length. */
#define RANGES        64u
#define RANGE_SECTORS 65535u

struct fields {
	uint8_t opcode, device;
	uint16_t features, count;
	uint64_t lba;
};

static void put_fis(struct ahci_table *table, const struct fields *f)
{
	const uint8_t fis[4 * FIS_WORDS] = {FIS_TO_DEVICE,
					    FIS_IS_COMMAND,
					    f->opcode,
					    (uint8_t)f->features,
					    (uint8_t)f->lba,
					    (uint8_t)(f->lba >> 8),
					    (uint8_t)(f->lba >> 16),
					    f->device,
					    (uint8_t)(f->lba >> 24),
					    (uint8_t)(f->lba >> 32),
					    (uint8_t)(f->lba >> 40),
					    (uint8_t)(f->features >> 8),
					    (uint8_t)f->count,
					    (uint8_t)(f->count >> 8)};

	memcpy(table->fis, fis, sizeof(fis));
}

static void put_header(struct ahci_port *p, unsigned slot, unsigned n_prds, unsigned flags)
{
	struct ahci_header *h = &p->list[slot];

	h->flags = (uint16_t)(FIS_WORDS | flags);
	h->n_prds = (uint16_t)n_prds;
	h->bytes_moved = 0;
	h->table = p->slots[slot].table_at.v;
}

static void put_prd(struct ahci_table *table, unsigned i, dma_addr_t at, uint32_t len_bytes)
{
	table->prds[i] = (struct ahci_prd){.at = at.v, .last_byte = len_bytes - 1};
}

static int map_segments(struct ahci_port *p, struct ahci_slot *slot, uint32_t *out_bytes)
{
	const struct block_request *req = slot->req;
	const struct dma_piece *pieces;
	int err;

	*out_bytes = 0;
	dma_group_unmap(&p->hba->dma, &slot->maps); /* of a request that is sent again */
	err = disk_map(&p->hba->dma, &slot->maps, req, 0, req->n_segments, &pieces);
	for (unsigned i = 0; i < req->n_segments && !err; i++) {
		put_prd(slot->table, i, pieces[i].at, pieces[i].len);
		*out_bytes += pieces[i].len;
	}
	return err;
}

/* ---- kinds --------------------------------------------------------------------------------------- */

/* A queued command has its number where others have the count, and the count where others have features. */
static void make_queued(struct fields *f, const struct block_request *req, unsigned slot,
			uint16_t blocks)
{
	f->opcode = req->op == BLOCK_WRITE ? ATA_WRITE_QUEUED : ATA_READ_QUEUED;
	f->features = blocks;
	f->count = (uint16_t)(slot << 3);
	if (req->op == BLOCK_WRITE && req->flags & BLOCK_FUA)
		f->device |= DEVICE_FUA;
}

static void make_single(struct fields *f, const struct block_request *req, uint16_t blocks)
{
	f->count = blocks;
	if (req->op == BLOCK_READ)
		f->opcode = ATA_READ_DMA;
	else
		f->opcode = req->flags & BLOCK_FUA ? ATA_WRITE_DMA_FUA : ATA_WRITE_DMA;
}

static int make_transfer(struct ahci_port *p, unsigned slot, bool queued)
{
	struct ahci_slot *s = &p->slots[slot];
	const struct block_request *req = s->req;
	struct fields f = {.device = DEVICE_LBA, .lba = req->sector >> (p->sector_shift - 9)};
	unsigned flags = req->op == BLOCK_WRITE ? AHCI_WRITE : 0;
	uint32_t bytes;
	int err = map_segments(p, s, &bytes);
	uint16_t blocks = (uint16_t)(bytes >> p->sector_shift);

	if (err)
		return err;
	if (p->is_cd) {
		ahci_cd_read(s, f.lba, blocks);
		f = (struct fields){.opcode = ATA_PACKET, .features = PACKET_DMA};
		flags |= AHCI_PACKET;
	} else if (queued) {
		make_queued(&f, req, slot, blocks);
	} else {
		make_single(&f, req, blocks);
	}
	put_fis(s->table, &f);
	put_header(p, slot, req->n_segments, flags);
	return 0;
}

static uint64_t *ranges_of(const struct ahci_slot *s)
{
	return (uint64_t *)((char *)s->table + AHCI_EXTRA_AT);
}

/* From where the request's discarding has come to (driver[0], in sectors of 512). */
static void make_discard(struct ahci_port *p, unsigned slot)
{
	struct ahci_slot *s = &p->slots[slot];
	const struct block_request *req = s->req;
	unsigned shift = p->sector_shift - 9;
	uint64_t lba = (req->sector + req->driver[0]) >> shift;
	uint64_t left = (req->n_sectors - req->driver[0]) >> shift, *ranges = ranges_of(s);
	struct fields f = {
	    .opcode = ATA_DSM, .device = DEVICE_LBA, .features = DSM_TRIM, .count = 1};

	for (unsigned i = 0; i < RANGES; i++) {
		uint64_t n = MIN(left, RANGE_SECTORS);

		ranges[i] = n ? lba | n << 48 : 0;
		lba += n;
		left -= n;
	}
	put_prd(s->table, 0, (dma_addr_t){s->table_at.v + AHCI_EXTRA_AT}, SECTOR_SIZE);
	put_fis(s->table, &f);
	put_header(p, slot, 1, AHCI_WRITE);
}

uint64_t ahci_discard_sectors(const struct ahci_port *p, unsigned slot)
{
	const uint64_t *ranges = ranges_of(&p->slots[slot]);
	uint64_t n = 0;

	for (unsigned i = 0; i < RANGES; i++)
		n += ranges[i] >> 48;
	return n << (p->sector_shift - 9);
}

void ahci_make_plain(struct ahci_port *p, unsigned slot, uint8_t opcode, dma_addr_t at,
		     uint32_t len_bytes)
{
	struct fields f = {.opcode = opcode, .device = DEVICE_LBA};

	put_fis(p->slots[slot].table, &f);
	if (len_bytes)
		put_prd(p->slots[slot].table, 0, at, len_bytes);
	put_header(p, slot, len_bytes != 0, 0);
}

void ahci_make_question(struct ahci_port *p, unsigned slot, unsigned question)
{
	struct ahci_slot *s = &p->slots[slot];
	uint32_t len = ahci_cd_question(s, question);
	struct fields f = {.opcode = ATA_PACKET, .features = len ? PACKET_DMA : 0};

	put_fis(s->table, &f);
	if (len)
		put_prd(s->table, 0, (dma_addr_t){s->table_at.v + AHCI_EXTRA_AT}, len);
	put_header(p, slot, len != 0, AHCI_PACKET);
}

int ahci_make(struct ahci_port *p, unsigned slot, bool queued)
{
	const struct block_request *req = p->slots[slot].req;

	if (req == &p->cd_question) {
		ahci_make_question(p, slot, p->cd_asks);
		return 0;
	}
	if (req->op <= BLOCK_WRITE)
		return make_transfer(p, slot, queued);
	if (req->op == BLOCK_DISCARD)
		make_discard(p, slot);
	else
		ahci_make_plain(p, slot, ATA_FLUSH, (dma_addr_t){0}, 0);
	return 0;
}

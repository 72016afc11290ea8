/* ahci_cd.c: a CD-ROM drive on an AHCI port: reading, and noticing that the medium was changed.
 *
 * Commands are packets of MMC's, each alone in its port. Every two seconds the drive is asked what has happened to its
 * medium; after that, and after every complaint, it is asked why (which clears the complaint), and then how large its medium
 * is. A request that meets a complaint fails: what it was about may be another disk by now. Called by ahci_command.c, ahci.c
 * and ahci_init.c; its own questions go the way of all requests. MMC-6: 6.6 (GET EVENT STATUS), 6.24 (READ CAPACITY), 6.36.
 */
#include "ahci.h"

#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/peer.h>
#include <amphi/string.h>

#define POLL_NS    2000000000ull
#define CD_BLOCK   2048u
#define BLOCKS_MAX (1u << 24) /* 32 GiB: more than any medium holds */

#define TRIES       4u /* a drive may have more than one complaint */
#define EVENT_POLL  1u
#define EVENT_MEDIA (1u << 4)

enum { MMC_SENSE = 0x03, MMC_CAPACITY = 0x25, MMC_READ = 0x28, MMC_EVENT = 0x4a };

static uint32_t get32be(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32be(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* Bytes that the drive is asked for; into the second half of the slot's page. */
static uint32_t answer_bytes(unsigned question)
{
	return question == MMC_SENSE ? 18 : 8;
}

static const uint8_t *answer_of(const struct ahci_slot *s)
{
	return (const uint8_t *)s->table + AHCI_EXTRA_AT;
}

uint32_t ahci_cd_question(struct ahci_slot *s, unsigned question)
{
	memset(s->table->packet, 0, sizeof(s->table->packet));
	memset((char *)s->table + AHCI_EXTRA_AT, 0, 18);
	s->table->packet[0] = (uint8_t)question;
	if (question == MMC_SENSE)
		s->table->packet[4] = 18;
	if (question == MMC_EVENT) {
		s->table->packet[1] = EVENT_POLL;
		s->table->packet[4] = EVENT_MEDIA;
		s->table->packet[8] = 8;
	}
	return answer_bytes(question);
}

void ahci_cd_read(struct ahci_slot *s, uint64_t block, uint16_t blocks)
{
	memset(s->table->packet, 0, sizeof(s->table->packet));
	s->table->packet[0] = MMC_READ;
	put32be(s->table->packet + 2, (uint32_t)block);
	s->table->packet[7] = (uint8_t)(blocks >> 8);
	s->table->packet[8] = (uint8_t)blocks;
}

/* What READ CAPACITY says: the last block, and its length. */
static uint64_t sectors_of(const uint8_t *answer)
{
	uint64_t blocks = (uint64_t)get32be(answer) + 1;

	if (get32be(answer + 4) != CD_BLOCK || blocks > BLOCKS_MAX)
		return 0;
	return blocks * (CD_BLOCK / SECTOR_SIZE);
}

/* Whether something has happened, or the medium is there and was not, or the other way round (byte 5). */
static bool is_news(const struct ahci_port *p, const uint8_t *answer)
{
	bool has_event = !(answer[2] & 0x80) && answer[1] >= 4;

	return has_event && (answer[4] & 0xf || !(answer[5] & 2) != !p->disk.sectors);
}

/* ---- while the machine runs ------------------------------------------------------------------------ */

static void set_sectors(struct ahci_port *p, uint64_t sectors)
{
	if (p->disk.sectors == sectors)
		return;
	p->disk.sectors = sectors;
	host_log(HOST_LOG_INFO, "%s: %s, %llu KiB", p->disk.name,
		 sectors ? "another medium" : "no medium", (unsigned long long)sectors / 2);
	host_block_changed(&p->disk);
}

static void ask(struct ahci_port *p, unsigned question)
{
	p->cd_asks = question;
	p->disk.ops->submit(&p->disk, &p->cd_question);
	p->disk.ops->kick(&p->disk);
}

/* Every complaint is asked for before anything else is sent.
 *
 *    EVENT --- no news -------------------------------------------> (two seconds)
 *      | news, or a complaint
 *    SENSE -----> CAPACITY --- an answer: it is the size -------------> (two seconds)
 *      ^             | complaint
 *      '-------------'--- the fourth: there is no medium ---------> (two seconds)
 */
static void answered(struct block_request *req, int status)
{
	struct ahci_port *p = req->ctx;
	unsigned asked = p->cd_asks;

	if (p->watch.phase == DISK_GONE)
		return;
	if (asked == MMC_SENSE) {
		ask(p, MMC_CAPACITY);
	} else if (asked == MMC_EVENT && (status || p->cd_news)) {
		p->cd_tries = 0;
		ask(p, MMC_SENSE);
	} else if (asked == MMC_CAPACITY && status && ++p->cd_tries < TRIES) {
		ask(p, MMC_SENSE);
	} else {
		if (asked == MMC_CAPACITY)
			set_sectors(p, status ? 0 : p->cd_sectors);
		host_work_after(&p->cd_poll, POLL_NS);
	}
}

void ahci_cd_take_answer(struct ahci_port *p, const struct ahci_slot *s)
{
	peer_rmb();
	if (p->cd_asks == MMC_CAPACITY)
		p->cd_sectors = sectors_of(answer_of(s));
	else if (p->cd_asks == MMC_EVENT)
		p->cd_news = is_news(p, answer_of(s));
}

/* It may be waiting behind others with another question: it comes first now, with this one. */
void ahci_cd_complained(struct ahci_port *p)
{
	struct block_request **link = &p->waiting.first, *question = &p->cd_question;

	host_work_cancel(&p->cd_poll);
	while (*link && *link != question)
		link = &(*link)->next;
	if (*link)
		*link = question->next;
	question->next = p->waiting.first;
	p->waiting.first = question;
	for (link = &p->waiting.first; *link; link = &(*link)->next)
		;
	p->waiting.tail = link;
	p->cd_asks = MMC_SENSE;
	p->cd_tries = 0;
}

/* Set only when no question is under way. */
static void poll(void *ctx)
{
	struct ahci_port *p = ctx;

	if (p->watch.phase != DISK_GONE)
		ask(p, MMC_EVENT);
}

/* ---- start ---------------------------------------------------------------------------------------- */

/* A drive complains of what happened before it was looked at, often more than once. Polled. */
static uint64_t first_size(struct ahci_port *p)
{
	for (unsigned tries = 0; tries < TRIES; tries++) {
		if (!ahci_ask_now(p, MMC_CAPACITY))
			return sectors_of(answer_of(&p->slots[0]));
		(void)ahci_ask_now(p, MMC_SENSE);
	}
	return 0;
}

void ahci_cd_start(struct ahci_port *p)
{
	p->disk.sectors = first_size(p);
	p->disk.sector_size = CD_BLOCK;
	p->sector_shift = 11;
	p->disk.readonly = p->disk.cdrom = p->disk.removable = true;
	p->cd_question = (struct block_request){.op = BLOCK_READ, .done = answered, .ctx = p};
	p->cd_poll = (struct host_work){.fn = poll, .ctx = p};
	host_work_after(&p->cd_poll, POLL_NS);
}

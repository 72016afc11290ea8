/* commands_ledger.c: shell commands that try what a disk promises: that flushed writes stay, and discards.
 *
 * `ledger` writes and says what the disk has acknowledged, until the machine is switched off; what is then missing
 * from the disk was promised in vain (tests/qemu/power_cut_test.sh looks). Caller: shell.c. Calls the block layer.
 */
#include <amphi/string.h>
#include "block.h"
#include "block_use.h"
#include "commands.h"
#include "console.h"
#include "mm.h"
#include "shell.h"

#define ULL(x)      ((unsigned long long)(x))
#define ENTRY_BYTES 4096u
#define ENTRY_STRIDE                                                                               \
	(65536u / SECTOR_SIZE) /* an image format's cluster each, so that each costs a new one */
#define ENTRY_STEP    17u      /* entries are not side by side, and 2^n of them all differ */
#define ROUND         8u
#define DISCARD_BYTES (1u << 30)

struct ledger {
	struct block_use disk;
	uint64_t *page; /* an entry: its number, in every word */
	uint64_t number, entries;
};

static uint64_t next_entry(struct ledger *l)
{
	l->number++;
	for (unsigned i = 0; i < ENTRY_BYTES / sizeof(*l->page); i++)
		l->page[i] = l->number;
	return l->number * ENTRY_STEP % l->entries * ENTRY_STRIDE;
}

/* Several entries and a flush, which is for all of them and those before. */
static int flushed_round(struct ledger *l)
{
	int error = 0;

	for (unsigned i = 0; i < ROUND && !error; i++) {
		uint64_t sector = next_entry(l);

		error = block_io(l->disk.dev, BLOCK_WRITE, sector, l->page, ENTRY_BYTES);
	}
	if (!error)
		error = block_flush(l->disk.dev);
	if (!error)
		console_printf("@ledger flushed %llu\n", ULL(l->number));
	return error;
}

/* One, by itself. */
static int through_round(struct ledger *l)
{
	uint64_t sector = next_entry(l);
	int error = block_write_through(l->disk.dev, sector, l->page, ENTRY_BYTES);

	if (!error)
		console_printf("@ledger through %llu\n", ULL(l->number));
	return error;
}

static int write_all(struct ledger *l)
{
	int error = 0;

	l->entries = l->disk.sectors / ENTRY_STRIDE;
	l->page = pages_alloc(1);
	if (!l->page)
		return -XEN_ENOMEM;
	while (!error && l->number + ROUND + 1 < l->entries) {
		error = flushed_round(l);
		if (!error)
			error = through_round(l);
	}
	pages_free(l->page, 1);
	return error;
}

static int ledger(int argc, char **argv)
{
	struct ledger l = {0};
	int error;

	if (argc != 2)
		return -XEN_EINVAL;
	if (!commands_disk(argv[1], &l.disk))
		return -XEN_ENODEV;
	error = write_all(&l);
	commands_disk_end(&l.disk);
	return error;
}

/* In pieces whose length in bytes fits the layer's word for it. */
static int discard_all(const struct block_use *disk, bool secure)
{
	uint64_t done = 0;
	int error = 0;

	while (done < disk->sectors && !error) {
		uint64_t n = MIN(disk->sectors - done, DISCARD_BYTES / SECTOR_SIZE);

		error = block_discard(disk->dev, done, (uint32_t)(n * SECTOR_SIZE), secure);
		done += n;
	}
	if (!error)
		console_printf("@discard %s%s\n", disk->name, secure ? " secure" : "");
	return error;
}

static int discard(int argc, char **argv)
{
	bool secure = argc == 3 && !strcmp(argv[1], "--secure");
	struct block_use disk;
	int error;

	if (!secure && argc != 2)
		return -XEN_EINVAL;
	if (!commands_disk(argv[argc - 1], &disk))
		return -XEN_ENODEV;
	error = discard_all(&disk, secure);
	commands_disk_end(&disk);
	return error;
}

void commands_ledger_add(void)
{
	static const struct shell_command table[] = {
	    {"discard", "[--secure] DEV",
	     "nothing on a whole disk is needed any more, or may be read again", discard},
	    {"ledger", "DEV", "writes entries, and says which the disk has acknowledged", ledger},
	};

	shell_add(table, ARRAY_SIZE(table));
}

/* commands_copy.c: the shell's command that copies a disk to another, and looks whether it has.
 *
 * It knows no file system: what another system made on the one disk it must find on the other, byte for byte, and the
 * tests let it look (tests/xen/blkfront_test.sh). Caller: shell.c. Calls disk_walk.c, which keeps several reads in
 * flight, and the block layer for the other disk, a chunk at a time: of two walks at once the memory is not there.
 */
#include <amphi/string.h>
#include <amphi/xen.h>
#include "block.h"
#include "block_use.h"
#include "commands.h"
#include "console.h"
#include "disk_walk.h"
#include "mm.h"
#include "shell.h"

#define ULL(x)      ((unsigned long long)(x))
#define CHUNK_PAGES 16u /* disk_walk.c gives no more at a time */

struct copy {
	const struct block_use *to;
	uint8_t *back; /* what is read from the other disk again */
	uint64_t differs_sector;
	bool differs;
};

/* The status of the other disk ends the walk. */
static int write_chunk(void *ctx, uint64_t sector, void *buf, unsigned n_sectors)
{
	struct copy *copy = ctx;

	return block_io(copy->to->dev, BLOCK_WRITE, sector, buf, n_sectors * SECTOR_SIZE);
}

/* By sectors, because a place is of more use to a reader than a whole chunk. */
static int compare_chunk(void *ctx, uint64_t sector, void *buf, unsigned n_sectors)
{
	struct copy *copy = ctx;
	int error =
	    block_io(copy->to->dev, BLOCK_READ, sector, copy->back, n_sectors * SECTOR_SIZE);
	const uint8_t *from = buf;

	for (unsigned i = 0; i < n_sectors && !error; i++) {
		if (!memcmp(from + i * SECTOR_SIZE, copy->back + i * SECTOR_SIZE, SECTOR_SIZE))
			continue;
		copy->differs = true;
		copy->differs_sector = sector + i;
		return -XEN_EIO;
	}
	return error;
}

/* Both are read anew: what a backend or a cache has kept of the writes is not what counts. */
static int write_and_compare(const struct block_use *from, struct copy *copy)
{
	int error = disk_walk(from, BLOCK_READ, write_chunk, copy);

	if (!error)
		error = block_flush(copy->to->dev);
	if (!error)
		error = disk_walk(from, BLOCK_READ, compare_chunk, copy);
	return error;
}

static int copy_disk(const struct block_use *from, const struct block_use *to)
{
	struct copy copy = {.to = to, .back = pages_alloc(CHUNK_PAGES)};
	int error;

	if (!copy.back)
		return -XEN_ENOMEM;
	error = write_and_compare(from, &copy);
	if (copy.differs)
		console_printf("@copy %s %s differs %llu\n", from->name, to->name,
			       ULL(copy.differs_sector));
	else if (!error)
		console_printf("@copy %s %s ok %llu\n", from->name, to->name, ULL(from->sectors));
	pages_free(copy.back, CHUNK_PAGES);
	return error;
}

/* The other may be larger: what is behind the copy stays as it was. Either may have gone by now. */
static int copy_if_fits(const struct block_use *from, const struct block_use *to)
{
	bool same = !strcmp(from->name, to->name);

	if (same || to->sectors < from->sectors) {
		console_printf("%s: %s\n", to->name, same ? "is the same disk" : "is too small");
		return -XEN_EINVAL;
	}
	return copy_disk(from, to);
}

static int copy(int argc, char **argv)
{
	struct block_use from, to;
	int error = -XEN_ENODEV;

	if (argc != 3)
		return -XEN_EINVAL;
	if (!commands_disk(argv[1], &from))
		return -XEN_ENODEV;
	if (commands_disk(argv[2], &to)) {
		error = copy_if_fits(&from, &to);
		commands_disk_end(&to);
	}
	commands_disk_end(&from);
	return error;
}

void commands_copy_add(void)
{
	static const struct shell_command table[] = {
	    {"copy", "FROM TO", "copies a whole disk to another and compares them", copy},
	};

	shell_add(table, ARRAY_SIZE(table));
}

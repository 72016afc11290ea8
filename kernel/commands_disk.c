/* commands_disk.c: the shell's commands for disks.
 *
 * Caller: shell.c. Calls the block layer and disk_walk.c. The answers that begin with '@' are read
 * by the host tool, which computes the same digest and the same pattern for itself.
 */
#include <amphi/host_block.h>
#include <amphi/netback.h>
#include <amphi/pattern.h>
#include <amphi/sha256.h>
#include <amphi/string.h>
#include <amphi/xen.h>
#include "block.h"
#include "block_use.h"
#include "boot.h"
#include "cmdline.h"
#include "commands.h"
#include "console.h"
#include "disk_walk.h"
#include "lent.h"
#include "net_start.h"
#include "roles.h"
#include "shell.h"
#include "thread.h"
#include "time.h"
#include "worker.h"

/* A backend's host may be slow, and a disk that does not come in ten seconds will not come. */
#define APPEAR_WAIT_NS (10 * NS_PER_S)
/* Often enough to be no part of what a command takes. */
#define APPEAR_POLL_NS (2 * NS_PER_MS)

struct wanted {
	const char *
	    params; /* as a domain file may name it, slices and partitions by their numbers included */
	char name[sizeof(
	    ((struct block_device *)0)
		->name)]; /* "": as params; of one that is made and not there yet, its own */
	struct block_use *use;
};

static int find_disk(void *ctx)
{
	struct wanted *w = ctx;
	const struct block_device *dev = host_block_find(w->params);

	if (dev)
		memcpy(w->name, dev->name, sizeof(w->name));
	return 0;
}

static int begin_use(void *ctx)
{
	const struct wanted *w = ctx;
	struct block_device *dev = block_find(w->name[0] ? w->name : w->params);

	if (dev)
		block_use_begin(w->use, dev);
	return dev != NULL;
}

/* Waits, so that `do="sha256 xvda"` need not know how long a handshake takes. */
bool commands_disk(const char *name, struct block_use *out_use)
{
	uint64_t end_ns = time_ns() + APPEAR_WAIT_NS;
	struct wanted w = {.params = name, .use = out_use};
	bool found;

	(void)worker_call(find_disk, &w);
	while (!(found = worker_call(begin_use, &w)) && time_ns() < end_ns)
		thread_sleep_ns(APPEAR_POLL_NS);
	if (!found)
		console_printf("%s: no such disk\n", w.name[0] ? w.name : name);
	return found;
}

static int end_use(void *ctx)
{
	block_use_end(ctx);
	return 0;
}

void commands_disk_end(struct block_use *use)
{
	(void)worker_call(end_use, use);
}

/* What the toolstack wrote for this domain, relative to its own directory in the store. */
static int count_promised(void *ctx)
{
	char names[512];
	int n =
	    boot.store_page ? host_store_list(HOST_TX_NONE, "device/vbd", names, sizeof(names)) : 0;

	return MAX(n, 0);
}

/* By walking: the registry has no count that could be wrong. */
static int count_disks(void)
{
	struct block_device *dev;
	int n = 0;

	for (dev = block_next(NULL); dev; dev = block_next(dev))
		n++;
	return n;
}

/* A guest's first look may come before its backends have answered. */
static void wait_for_promised(void)
{
	uint64_t end_ns = time_ns() + APPEAR_WAIT_NS;
	int promised = worker_call(count_promised, NULL);

	while (count_disks() < promised && time_ns() < end_ns)
		thread_sleep_ns(APPEAR_POLL_NS);
}

/* Sizes are in sectors of 512 bytes whatever the device's own sector is. */
static int disks(int argc, char **argv)
{
	struct block_device *dev;

	wait_for_promised();
	for (dev = block_next(NULL); dev; dev = block_next(dev))
		console_printf("%-10s %10llu KiB  sector %u  %s%s%s%s\n", dev->name,
			       (unsigned long long)dev->sectors / 2, dev->sector_size,
			       dev->readonly ? "read-only" : "read-write",
			       dev->has_flush ? ", flush" : "", dev->serial[0] ? ", serial " : "",
			       dev->serial);
	return 0;
}

/* disk_walk gives chunks in order, which a digest needs. */
static int hash_chunk(void *ctx, uint64_t sector, void *buf, unsigned n_sectors)
{
	/* sector is not needed: order is all. */
	sha256_update(ctx, buf, n_sectors * SECTOR_SIZE);
	return 0;
}

/* A digest is printed only of a whole disk: after an error there is none to be mistaken for it. */
static int hash_disk(const struct block_use *disk)
{
	char hex[SHA256_HEX_CHARS];
	uint8_t digest[SHA256_BYTES];
	struct sha256 h;
	int error;

	sha256_init(&h);
	error = disk_walk(disk, BLOCK_READ, hash_chunk, &h);
	if (error)
		return error;
	sha256_final(&h, digest);
	sha256_hex(digest, hex);
	console_printf("@sha256 %s %s\n", disk->name, hex);
	return 0;
}

static int sha256_disk(int argc, char **argv)
{
	struct block_use disk;
	int error;

	if (argc != 2)
		return -XEN_EINVAL;
	if (!commands_disk(argv[1], &disk))
		return -XEN_ENODEV;
	error = hash_disk(&disk);
	commands_disk_end(&disk);
	return error;
}

/* bad tells a wrong byte from an error of the disk, both of which end the walk. */
struct pattern_job {
	uint64_t seed, bad_sector;
	bool bad;
};

/* The chunk's place makes its content, so chunks may be filled in any order. */
static int fill_chunk(void *ctx, uint64_t sector, void *buf, unsigned n_sectors)
{
	struct pattern_job *job = ctx;

	pattern_fill(job->seed, sector, buf, n_sectors);
	return 0;
}

/* The status only stops the walk; what is said is in the job. */
static int verify_chunk(void *ctx, uint64_t sector, void *buf, unsigned n_sectors)
{
	struct pattern_job *job = ctx;

	job->bad = !pattern_check(job->seed, sector, buf, n_sectors, &job->bad_sector);
	return job->bad ? -XEN_EIO : 0;
}

/* False has been told. */
static bool pattern_args(int argc, char **argv, struct pattern_job *job, struct block_use *out_use)
{
	if (argc != 3 || !str_to_u64(argv[2], &job->seed)) {
		console_printf("wanted: %s DEV SEED, the seed a number\n", argv[0]);
		return false;
	}
	return commands_disk(argv[1], out_use);
}

/* Flushed before it is reported: the host tool may look at the image as soon as it reads the line.
 */
static int fill(int argc, char **argv)
{
	struct pattern_job job = {0};
	struct block_use disk;
	int error;

	if (!pattern_args(argc, argv, &job, &disk))
		return -XEN_ENODEV;
	error = disk_walk(&disk, BLOCK_WRITE, fill_chunk, &job);
	if (!error)
		/* A device without a flush has none to wait for. */
		error = block_flush(disk.dev);
	if (!error)
		console_printf("@fill %s %llu\n", disk.name, (unsigned long long)job.seed);
	commands_disk_end(&disk);
	return error;
}

/* A wrong byte and an error of the disk may come together in the last chunks; the byte is the worse
 * one. */
static int verify(int argc, char **argv)
{
	struct pattern_job job = {0};
	struct block_use disk;
	int error;

	if (!pattern_args(argc, argv, &job, &disk))
		return -XEN_ENODEV;
	error = disk_walk(&disk, BLOCK_READ, verify_chunk, &job);
	if (job.bad)
		console_printf("@verify %s bad %llu\n", disk.name,
			       (unsigned long long)job.bad_sector);
	else if (!error)
		console_printf("@verify %s ok\n", disk.name);
	commands_disk_end(&disk);
	return error;
}

/* At most a GiB: above it a typing error is likelier than a wish. */
static int ramdisk(int argc, char **argv)
{
	uint64_t kib, sector = SECTOR_SIZE;

	if (argc < 3 || argc > 4 || !str_to_u64(argv[2], &kib) || !kib || kib > 1u << 20)
		return -XEN_EINVAL;
	if (argc == 4 && (!str_to_u64(argv[3], &sector) ||
			  (sector != SECTOR_SIZE && sector != PAGE_SIZE) || kib * 1024 % sector))
		return -XEN_EINVAL;
	return ramdisk_create(argv[1], kib * 1024, (uint32_t)sector);
}

/* Interfaces of guests are ports of the bridges that they name, as in the service domain. */
static int start_serving(void *ctx)
{
	int error = serve_disks();

	if (!error)
		error = netback_init();
	return error ? error : net_start_bridges();
}

/* A domain that is not the service domain may serve disks and networks too, when its toolstack names it as
 * their backend; the store server is another's then. Once is enough. */
static int serve(int argc, char **argv)
{
	static bool serving;
	int error;

	if (argc != 1)
		return -XEN_EINVAL;
	if (serving || cmdline.role == ROLE_SERVICE)
		return -XEN_EEXIST;
	lent_wait(); /* a guest that asks for a disk too early is refused */
	error = boot.store_page ? worker_call(start_serving, NULL) : -XEN_ENODEV;
	serving = !error;
	return error;
}

void commands_disk_add(void)
{
	static const struct shell_command table[] = {
	    /* Names, usage and words of `help`; docs/kernel.md says more. */
	    {"disks", "", "the disks there are", disks},
	    {"sha256", "DEV", "the SHA-256 of a whole disk", sha256_disk},
	    {"fill", "DEV SEED", "writes the pattern of SEED to the whole disk, and flushes", fill},
	    {"verify", "DEV SEED", "reads the whole disk and compares with the pattern", verify},
	    {"ramdisk", "NAME KIB [512|4096]",
	     "makes a disk in memory, of sectors of so many bytes", ramdisk},
	    {"serve", "", "serves this domain's disks to others that name it as backend", serve},
	};

	shell_add(table, ARRAY_SIZE(table));
}

/* disks.c: which disks the machine gets: one for each host file that a domain names.
 *
 * A file that two domains share is attached once, and only when neither writes or each has a slice of it. The disk's serial number
 * is how the service domain finds it again (manifest.h).
 */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

/* By the target as written, like the manifest and the service domain's look-up. */
static struct disk *find(struct plan *plan, const char *target)
{
	for (unsigned i = 0; i < plan->n_disks; i++)
		if (!strcmp(plan->disks[i].target, target))
			return &plan->disks[i];
	return NULL;
}

static const char *kind_problem(const struct stat *st, uint64_t bytes)
{
	if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
		return "is neither a file nor a block device";
	return bytes ? NULL : "is empty";
}

/* Whether the target can be a disk; says why not. Opened as QEMU will open it, because QEMU would
 * only say that it cannot when the machine is half made. An empty file is refused here: a disk
 * without a sector is nothing a guest could use. */
static bool usable(const struct domain_file *d, const struct config_disk *disk, const char *file)
{
	int fd = open(file, disk->readonly ? O_RDONLY : O_RDWR);
	const char *problem;
	struct stat st;
	uint64_t bytes;

	if (fd < 0) {
		fprintf(stderr, "%s: error: disk %s: cannot %s '%s': %s\n", d->path, disk->vdev,
			disk->readonly ? "read" : "write", file, strerror(errno));
		return false;
	}
	problem = "cannot be looked at";
	if (!fstat(fd, &st)) {
		bytes = (uint64_t)st.st_size;
		if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &bytes))
			bytes = 0;
		problem = kind_problem(&st, bytes);
	}
	close(fd);
	if (problem)
		fprintf(stderr, "%s: error: disk %s: '%s' %s\n", d->path, disk->vdev, file,
			problem);
	return !problem;
}

/* "ram0", or a slice of it, "ram0@0+8M": memory of the service domain, not a file of ours. A file of that name must
 * be written ./ram0. */
static bool is_ram_disk(const char *target)
{
	size_t digits = strncmp(target, "ram", 3) ? 0 : strspn(target + 3, "0123456789");

	return digits && (!target[3 + digits] || target[3 + digits] == '@');
}

/* A disk or partition that the machine has anyway, by a mark of its own. By "vda" and the like only files are meant here. */
static bool is_marked(const char *target)
{
	static const char *const marks[] = {"nbd://",
					    "serial=", "PARTUUID=", "PARTLABEL=", "LABEL="};

	for (unsigned i = 0; i < sizeof(marks) / sizeof(*marks); i++)
		if (!strncmp(target, marks[i], strlen(marks[i])))
			return true;
	return false;
}

/* What is in another domain only that one knows, an empty CD-ROM is nothing, and a server's disk, or one of the machine's, the service
 * domain finds itself. */
bool is_not_ours(const struct config_disk *disk)
{
	return disk->backend[0] || !disk->target[0] || is_ram_disk(disk->target) ||
	       is_marked(disk->target);
}

/* The file behind "FILE@OFFSET+LENGTH"; the target itself when it is no slice, or a file of just that name is there. The
 * caller frees it. The service domain cuts at the same place. */
static char *file_of(const char *target)
{
	const char *at = strrchr(target, '@');

	if (!at || !strchr(at, '+') || !access(target, F_OK))
		return strdup(target);
	return strndup(target, (size_t)(at - target));
}

/* One writer would change the disk under the other's caches: neither side has a lock, and QEMU
 * would refuse the second drive with words about locks. Slices are parts of a disk each, whose author knows
 * why. */
static bool may_share(const struct disk *known, const struct config_disk *disk)
{
	bool slice = strcmp(known->target, disk->target) != 0;

	return (known->slices && slice) || (known->readonly && disk->readonly);
}

/* Serial numbers are our own, since NVMe takes 20 characters at most and paths are longer. */
static unsigned add_file(struct plan *plan, const struct domain_file *d,
			 const struct config_disk *disk, const char *file)
{
	struct disk *known = find(plan, file);

	if (known && !may_share(known, disk)) {
		fprintf(stderr,
			"%s: error: disk %s: '%s' is used twice and not read-only each time\n",
			d->path, disk->vdev, disk->target);
		return 1;
	}
	if (!usable(d, disk, file))
		return 1;
	if (known) {
		known->readonly &= disk->readonly;
		return 0;
	}
	known = &plan->disks[plan->n_disks];
	known->target = file;
	known->readonly = disk->readonly;
	known->slices = strcmp(file, disk->target) != 0;
	snprintf(known->serial, sizeof(known->serial), "amphi%u", plan->n_disks++);
	return 0;
}

/* A file's name stays as long as the plan, which is until the end. */
static unsigned add(struct plan *plan, const struct domain_file *d, const struct config_disk *disk)
{
	return is_not_ours(disk) ? 0 : add_file(plan, d, disk, file_of(disk->target));
}

/* All of them, also after an error: each message is worth the same. */
unsigned disks_plan(struct plan *plan)
{
	unsigned errors = 0;

	for (unsigned i = 0; i < plan->n_domains; i++)
		for (unsigned k = 0; k < plan->domains[i].config.n_disks; k++)
			errors += add(plan, &plan->domains[i], &plan->domains[i].config.disks[k]);
	return errors;
}

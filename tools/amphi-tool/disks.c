/* disks.c: which disks the machine gets: one for each host file that a domain names.
 *
 * A file that two domains share is attached once, and only when neither writes. The disk's serial number
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
static bool usable(const struct domain_file *d, const struct config_disk *disk)
{
	int fd = open(disk->target, disk->readonly ? O_RDONLY : O_RDWR);
	const char *problem;
	struct stat st;
	uint64_t bytes;

	if (fd < 0) {
		fprintf(stderr, "%s: error: disk %s: cannot %s '%s': %s\n", d->path, disk->vdev,
			disk->readonly ? "read" : "write", disk->target, strerror(errno));
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
		fprintf(stderr, "%s: error: disk %s: '%s' %s\n", d->path, disk->vdev, disk->target,
			problem);
	return !problem;
}

/* "ram0": memory of the service domain, not a file of ours. A file of that name must be written
 * ./ram0. */
bool is_ram_disk(const char *target)
{
	return !strncmp(target, "ram", 3) && target[3] &&
	       strspn(target + 3, "0123456789") == strlen(target + 3);
}

/* One writer would change the disk under the other's caches: neither side has a lock, and QEMU
 * would refuse the second drive with words about locks. Serial numbers are our own, since NVMe
 * takes 20 characters at most and paths are longer. */
static unsigned add(struct plan *plan, const struct domain_file *d, const struct config_disk *disk)
{
	struct disk *known = find(plan, disk->target);

	if (is_ram_disk(disk->target))
		return 0;
	if (known && !(known->readonly && disk->readonly)) {
		fprintf(stderr,
			"%s: error: disk %s: '%s' is used twice and not read-only each time\n",
			d->path, disk->vdev, disk->target);
		return 1;
	}
	if (known)
		return 0;
	if (!usable(d, disk))
		return 1;
	known = &plan->disks[plan->n_disks];
	known->target = disk->target;
	known->readonly = disk->readonly;
	snprintf(known->serial, sizeof(known->serial), "amphi%u", plan->n_disks++);
	return 0;
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

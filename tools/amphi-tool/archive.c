/* archive.c: packs the boot archive that the service domain reads: domain files, kernels, ramdisks.
 *
 * A newc cpio archive (amphi/cpio.h) with a manifest (amphi/manifest.h), so that `cpio -it` shows what
 * was given. A file that several domains name is packed once.
 */
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <amphi/cpio.h>
#include <amphi/manifest.h>

/*   domains/NAME.cfg    as given, so that the service domain parses what the user wrote
 *   files/N             kernels and ramdisks; N, since two paths may end in the same name
 *   manifest            which member is which, and which disk is which file; last, as it names the others
 *
 * A domain names two files at most, a kernel and a ramdisk. */
#define MAX_PACKED (2 * MAX_DOMAINS)

/* The archive being written. Members go straight to the file; only the manifest waits, in memory
 * that grows. */
struct packing {
	FILE *out;
	const char *out_path;
	uint64_t bytes;
	char *manifest;
	size_t manifest_len, manifest_cap;
	const char *packed[MAX_PACKED];
	unsigned n_packed;
};

static void put(struct packing *p, const void *bytes, size_t len)
{
	if (len && fwrite(bytes, len, 1, p->out) != 1)
		fail(EXIT_LOST, "%s: %s", p->out_path, strerror(errno));
	p->bytes += len;
}

/* The data is padded to 4 with the zeros of a string of two and its NUL. */
static void put_member(struct packing *p, const char *name, const void *bytes, size_t len)
{
	uint8_t header[CPIO_HEADER_MAX];
	size_t header_len = cpio_write_header(header, name, len);

	if (!header_len)
		fail(EXIT_CONFIG, "%s: too large for the boot archive", name);
	put(p, header, header_len);
	put(p, bytes, len);
	put(p, "\0\0", cpio_padding(len));
}

/* A line of the manifest. Nobody looks at realloc's answer, as Linux gives memory first and kills
 * later. */
static void state(struct packing *p, enum manifest_kind kind, const char *key, const char *value)
{
	size_t room = 3 * (strlen(key) + strlen(value)) + 64; /* every byte may be escaped */

	while (p->manifest_len + room > p->manifest_cap) {
		p->manifest_cap = 2 * p->manifest_cap + room;
		p->manifest = realloc(p->manifest, p->manifest_cap);
	}
	p->manifest_len += manifest_format(p->manifest + p->manifest_len, room, kind, key, value);
}

/* By the path as written: two names of one file are packed twice, which costs room and is not
 * wrong. */
static void put_file(struct packing *p, const char *path)
{
	char member[32];
	char *bytes;
	size_t len;

	for (unsigned i = 0; i < p->n_packed; i++)
		if (!strcmp(p->packed[i], path))
			return;
	snprintf(member, sizeof(member), "files/%u", p->n_packed);
	p->packed[p->n_packed++] = path;
	bytes = read_file(path, &len);
	put_member(p, member, bytes, len);
	free(bytes);
	state(p, MANIFEST_FILE, path, member);
}

static void put_domain(struct packing *p, const struct domain_file *d)
{
	char member[16 + CONFIG_NAME_MAX];

	snprintf(member, sizeof(member), "domains/%s.cfg", d->config.name);
	put_member(p, member, d->text, d->len);
	state(p, d->spare ? MANIFEST_SPARE : MANIFEST_DOMAIN, d->config.name, member);
	put_file(p, d->config.kernel);
	if (d->config.ramdisk[0])
		put_file(p, d->config.ramdisk);
}

/* The file is a boot module, so it must be one: QEMU reads it when it starts, and main.c removes
 * it. A temporary name is ours alone, also when several tools run at once. */
void archive_write(struct plan *plan)
{
	struct packing p = {.out_path = plan->archive};
	uint8_t trailer[CPIO_HEADER_MAX];
	int fd;

	snprintf(plan->archive, sizeof(plan->archive), "/tmp/amphi-boot.XXXXXX");
	fd = mkstemp(plan->archive);
	p.out = fd < 0 ? NULL : fdopen(fd, "wb");
	if (!p.out)
		fail(EXIT_LOST, "cannot make a temporary file: %s", strerror(errno));
	for (unsigned i = 0; i < plan->n_domains; i++)
		put_domain(&p, &plan->domains[i]);
	for (unsigned i = 0; i < plan->n_disks; i++)
		state(&p, MANIFEST_DISK, plan->disks[i].target, plan->disks[i].serial);
	put_member(&p, MANIFEST_MEMBER, p.manifest, p.manifest_len);
	put(&p, trailer, cpio_write_trailer(trailer));
	if (fclose(p.out))
		fail(EXIT_LOST, "%s: %s", plan->archive, strerror(errno));
	plan->archive_bytes = p.bytes;
	free(p.manifest);
}

/* image.c: `amphi-tool image`: a disk that a machine of one's own boots the domains from.
 *
 * One FAT partition, which any system can change, holds the hypervisor, the service domain's kernel, and
 * each domain file, kernel and ramdisk as a file of its own; GRUB, for BIOS and UEFI, hands them over one by
 * one (hypervisor/dom0_ramdisk.c makes an archive of them). So a domain file is changed by editing it
 * there. What the machine's disks are to a domain is said by --disk. Called by main.c; image_grub.c makes
 * the disk.
 */
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <amphi/manifest.h>

#define MIB 1048576ull

/* ---- what goes into it ----------------------------------------------------------------------- */

static void add_file(struct image *im, const char *from, const char *name)
{
	struct image_file *f = &im->files[im->n_files++];
	struct stat st;

	if (stat(from, &st))
		fail(EXIT_CONFIG, "cannot read %s: %s", from, strerror(errno));
	f->from = strdup(from);
	f->name = strdup(name);
	im->bytes += (uint64_t)st.st_size;
}

/* A line of the menu: what GRUB passes on begins with a word that multiboot programs skip. */
static void add_module(struct image *im, const char *name, const char *words)
{
	fprintf(im->menu, "module2 /amphi/%s placeholder %s\n", name, words);
}

static void state(struct image *im, enum manifest_kind kind, const char *key, const char *value)
{
	char line[3 * (MANIFEST_FIELD_MAX + 64)];

	manifest_format(line, sizeof(line), kind, key, value);
	fputs(line, im->manifest);
}

/* Kernels and ramdisks that several domains name are there once. */
static void put_named(struct image *im, const char *path)
{
	char name[32];

	for (unsigned i = 0; i < im->n_named; i++)
		if (!strcmp(im->named[i], path))
			return;
	snprintf(name, sizeof(name), "files/%u", im->n_named);
	im->named[im->n_named++] = path;
	add_file(im, path, name);
	add_module(im, name, name);
	state(im, MANIFEST_FILE, path, name);
}

/* The domain's name is the file's, so that whoever looks at the disk finds it. */
static void put_domain(struct image *im, const struct domain_file *d)
{
	char name[CONFIG_NAME_MAX + 16];

	if (strchr(d->config.name, ':'))
		fail(EXIT_CONFIG, "%s: error: '%s' cannot be a file's name on the disk", d->path,
		     d->config.name);
	snprintf(name, sizeof(name), "domains/%s.cfg", d->config.name);
	add_file(im, d->path, name);
	add_module(im, name, name);
	state(im, d->spare ? MANIFEST_SPARE : MANIFEST_DOMAIN, d->config.name, name);
	put_named(im, d->config.kernel);
	if (d->config.ramdisk[0])
		put_named(im, d->config.ramdisk);
}

/* ---- disks ----------------------------------------------------------------------------------- */

/* Whether one of these words is TARGET=... of this target. */
static bool is_said(char *const *words, unsigned n, const char *target)
{
	size_t len = strlen(target);

	for (unsigned i = 0; i < n; i++)
		if (!strncmp(words[i], target, len) && words[i][len] == '=' &&
		    !strchr(words[i] + len + 1, '='))
			return true;
	return false;
}

static unsigned check_disks(const struct options *o, const struct domain_file *d)
{
	unsigned errors = 0;

	for (unsigned i = 0; i < d->config.n_disks; i++) {
		const struct config_disk *disk = &d->config.disks[i];

		if (is_not_ours(disk) || is_said(o->disk_words, o->n_disk_words, disk->target) ||
		    is_said(o->part_words, o->n_parts, disk->target))
			continue;
		fprintf(
		    stderr,
		    "%s: error: disk %s: say --disk '%s=SERIAL' for the machine's disk it is, or "
		    "--part TARGET=MIB\n",
		    d->path, disk->vdev, disk->target);
		errors++;
	}
	return errors;
}

/* Cuts TARGET=VALUE; the program ends when it is not that. */
static const char *cut_word(const char *option, const char *form, const char *word,
			    const char **out_value)
{
	const char *equals = strrchr(word, '=');
	char *target;

	if (!equals || !equals[1] || equals == word || equals - word >= (int)MANIFEST_FIELD_MAX)
		fail(EXIT_USAGE, "%s: '%s' is not %s", option, word, form);
	target = strdup(word);
	target[equals - word] = '\0';
	*out_value = equals + 1;
	return target;
}

static void put_disks(struct image *im, const struct options *o)
{
	for (unsigned i = 0; i < o->n_disk_words; i++) {
		const char *serial, *target;

		target = cut_word("--disk", "TARGET=SERIAL", o->disk_words[i], &serial);
		state(im, MANIFEST_DISK, target, serial);
	}
}

/* Its serial number is what the service domain calls it (kernel/partition.h). A file that is there gives it its
 * contents, and must fit. */
static void put_part(struct image *im, const char *word)
{
	char serial[32], *end;
	const char *text, *target = cut_word("--part", "TARGET=MIB", word, &text);
	unsigned long mib = strtoul(text, &end, 10);
	struct stat st;

	if (*end || mib < 1 || mib > 1024 * 1024)
		fail(EXIT_USAGE, "--part: '%s' is not TARGET=MIB", word);
	if (!stat(target, &st) && (uint64_t)st.st_size > mib * MIB)
		fail(EXIT_CONFIG, "--part: %s is larger than %lu MiB", target, mib);
	im->parts[im->n_parts].target = target;
	im->parts[im->n_parts++].bytes = mib * MIB;
	snprintf(serial, sizeof(serial), "disk-%08x-%u", im->signature, im->n_parts + 1);
	state(im, MANIFEST_DISK, target, serial);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static FILE *open_part(const struct image *im, const char *name, char *path, size_t cap)
{
	FILE *f;

	snprintf(path, cap, "%s/%s", im->dir, name);
	f = fopen(path, "w");
	if (!f)
		fail(EXIT_LOST, "%s: %s", path, strerror(errno));
	return f;
}

static void close_part(FILE *f, const char *path)
{
	if (fclose(f))
		fail(EXIT_LOST, "%s: %s", path, strerror(errno));
}

/* The service domain's memory has the archive in it, which is not packed yet: the files' sizes will do. */
static void begin_menu(struct image *im, const struct options *o, unsigned service_mib)
{
	/* The entry finds its files itself, so that it can be carried into any other menu. */
	fprintf(im->menu, "set timeout=0\nset default=0\nmenuentry Amphi {\n"
			  "search --no-floppy --file --set=root /amphi/amphi-hv\n");
	fprintf(im->menu, "multiboot2 /amphi/amphi-hv placeholder dom0_mem=%uM %s\n", service_mib,
		o->hypervisor_args);
	fprintf(im->menu, "module2 /amphi/amphi placeholder role=service%s %s\n",
		o->interactive ? " console=interactive" : "", o->service_args);
}

/* The menu's first lines want to know how much the others pass on, so files are counted twice. */
void image_make(struct plan *plan)
{
	static struct image im;
	const struct options *o = plan->options;
	char menu[128], manifest[128];
	unsigned errors = 0;

	for (unsigned i = 0; i < plan->n_domains; i++)
		errors += check_disks(o, &plan->domains[i]);
	if (errors)
		exit(EXIT_CONFIG);
	image_begin(&im);
	for (unsigned i = 0; i < plan->n_domains; i++) {
		struct stat st;

		plan->archive_bytes += plan->domains[i].len;
		plan->archive_bytes +=
		    stat(plan->domains[i].config.kernel, &st) ? 0 : (uint64_t)st.st_size;
		if (plan->domains[i].config.ramdisk[0] &&
		    !stat(plan->domains[i].config.ramdisk, &st))
			plan->archive_bytes += (uint64_t)st.st_size;
	}
	im.menu = open_part(&im, "grub.cfg", menu, sizeof(menu));
	im.manifest = open_part(&im, "manifest", manifest, sizeof(manifest));
	begin_menu(&im, o, machine_service_mib(plan));
	add_file(&im, o->hypervisor, "amphi-hv");
	add_file(&im, o->kernel, "amphi");
	add_module(&im, "manifest", MANIFEST_MEMBER);
	for (unsigned i = 0; i < plan->n_domains; i++)
		put_domain(&im, &plan->domains[i]);
	put_disks(&im, o);
	for (unsigned i = 0; i < o->n_parts; i++)
		put_part(&im, o->part_words[i]);
	fprintf(im.menu, "}\n");
	close_part(im.menu, menu);
	close_part(im.manifest, manifest);
	add_file(&im, manifest, "manifest");
	image_write(&im, o->output);
	printf("%s: %u domains, %llu MiB\n", o->output, plan->n_domains,
	       (unsigned long long)(im.disk_bytes / MIB));
}

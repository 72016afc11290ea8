/* domains.c: reads the domain files and checks what can be checked before a machine is started.
 *
 * The syntax and the keys are control/domain_config.c's business; here it is files: the kernel must be an
 * ELF image with Xen's notes, the ramdisk readable, names unique. Every error is told; nothing is guessed.
 */
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <amphi/elf.h>
#include <amphi/unpack.h>

/* The parser's text has FILE:LINE:COLUMN in front already, the form that editors know. */
static void say(void *ctx, bool is_error, const char *text)
{
	fprintf(stderr, "%s\n", text);
}

/* Like read_file, for a file whose absence is the domain file's error. NULL: told. access() and not
 * only the read that follows, to have an error that names the key; what changes in between ends in
 * read_file's own message. */
static char *read_named(const struct domain_file *d, const char *key, const char *path,
			size_t *out_len)
{
	struct stat st;

	if (stat(path, &st) || access(path, R_OK)) {
		fprintf(stderr, "%s: error: %s '%s': %s\n", d->path, key, path, strerror(errno));
		return NULL;
	}
	if (!S_ISREG(st.st_mode)) {
		fprintf(stderr, "%s: error: %s '%s' is not a file\n", d->path, key, path);
		return NULL;
	}
	return read_file(path, out_len);
}

/* A packed kernel becomes an unpacked one; NULL: it cannot, and *out_why says why. */
static char *unpacked(char *bytes, size_t *len, const char **out_why)
{
	struct unpack_image image;
	char *out = NULL, *work = NULL;

	if (!unpack_is_bzimage(bytes, *len))
		return bytes;
	if (!unpack_open(bytes, *len, &image, out_why)) {
		*out_why = "too large to be unpacked here";
		out = malloc(image.bytes);
		work = malloc(UNPACK_WORK_BYTES);
	}
	if (out && work && unpack_run(&image, out, work, out_why)) {
		free(out);
		out = NULL;
	}
	free(work);
	free(bytes);
	*len = image.bytes;
	return out;
}

/* The same reading as the builder's (lib/elf.c), so what passes here is not refused there for its
 * form. Whether it fits the domain's memory only the builder knows, who lays it out. */
static unsigned check_kernel(const struct domain_file *d)
{
	struct elf_xen_notes notes;
	struct elf_image image;
	const char *why = "";
	size_t len;
	char *bytes = read_named(d, "kernel", d->config.kernel, &len);
	unsigned errors = 0;

	if (!bytes)
		return 1;
	bytes = unpacked(bytes, &len, &why);
	if (!bytes || elf_open(bytes, len, &image, &why) ||
	    elf_read_xen_notes(&image, &notes, &why)) {
		fprintf(stderr, "%s: error: kernel '%s': %s\n", d->path, d->config.kernel, why);
		errors = 1;
	}
	free(bytes);
	return errors;
}

/* Anything may be a ramdisk, so being readable is all that is asked. */
static unsigned check_ramdisk(const struct domain_file *d)
{
	size_t len;
	char *bytes;

	if (!d->config.ramdisk[0])
		return 0;
	bytes = read_named(d, "ramdisk", d->config.ramdisk, &len);
	free(bytes);
	return !bytes;
}

/* Names are what lines on the console are told apart by, so the system's own cannot be had. */
static unsigned check_name(const struct plan *plan, const struct domain_file *d)
{
	if (!strcmp(d->config.name, SERVICE) || !strcmp(d->config.name, "hv")) {
		fprintf(stderr, "%s: error: the name '%s' is taken by the system itself\n", d->path,
			d->config.name);
		return 1;
	}
	for (const struct domain_file *other = plan->domains; other < d; other++) {
		if (strcmp(other->config.name, d->config.name))
			continue;
		fprintf(stderr, "%s: error: domain name '%s' is already that of %s\n", d->path,
			d->config.name, other->path);
		return 1;
	}
	return 0;
}

/* A file that is not understood leaves no domain: its name may be missing, and the checks that
 * follow would only repeat that. */
unsigned domains_load(struct plan *plan)
{
	const struct config_listener listener = {.say = say};
	const struct options *o = plan->options;
	unsigned errors = 0;

	for (unsigned i = 0; i < o->n_files + o->n_later; i++) {
		struct domain_file *d = &plan->domains[plan->n_domains];

		d->spare = i >= o->n_files;
		d->path = d->spare ? o->later[i - o->n_files] : o->files[i];
		d->text = read_file(d->path, &d->len);
		if (domain_config_parse(d->path, d->text, d->len, &listener, &d->config)) {
			errors++;
			continue;
		}
		errors += check_name(plan, d) + check_kernel(d) + check_ramdisk(d);
		plan->n_domains++;
	}
	return errors;
}

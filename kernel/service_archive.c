/* service_archive.c: the boot module as the service domain uses it: domain files, kernels, disks.
 *
 * The archive is the host tool's (amphi/manifest.h); it stays where the loader put it, and files
 * are used in place. Its content is checked like any input: a broken member spoils its own domain
 * and no other. Worker context. Callers: service.c, service_commands.c, control/ by hooks. Calls
 * cpio.h, manifest.h, domain_config.h, control.h.
 */
#include <amphi/cpio.h>
#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/printf.h>
#include <amphi/string.h>
#include "boot.h"
#include "service.h"

/* A view into the boot module; data NULL: there is none. */
static struct cpio_entry manifest;

int archive_open(void)
{
	int err;

	if (!boot.ramdisk) {
		host_log(HOST_LOG_INFO, "no boot archive: no domains to begin with");
		return -XEN_ENOENT;
	}
	err = cpio_find(boot.ramdisk, boot.ramdisk_len_bytes, MANIFEST_MEMBER, &manifest);
	if (err)
		host_log(HOST_LOG_ERROR, "the boot module is no archive with a manifest");
	return err;
}

/* The member a key of this kind stands for. */
static int find_member(enum manifest_kind kind, const char *key, struct cpio_entry *out)
{
	char member[CPIO_NAME_MAX];
	int err = manifest.data ? manifest_find(manifest.data, manifest.len, kind, key, member,
						sizeof(member))
				: -XEN_ENOENT;

	return err ? err : cpio_find(boot.ramdisk, boot.ramdisk_len_bytes, member, out);
}

/* Found by the path in the domain file, which is the host's and means nothing here: the manifest
 * says which member stands for it. */
int archive_file(void *ctx, const char *path, const void **out_bytes, size_t *out_len)
{
	struct cpio_entry entry;

	(void)ctx;
	if (find_member(MANIFEST_FILE, path, &entry))
		return -XEN_ENOENT;
	*out_bytes = entry.data;
	*out_len = entry.len;
	return 0;
}

static bool find_serial(const char *file, char *out, size_t cap)
{
	return manifest.data &&
	       manifest_find(manifest.data, manifest.len, MANIFEST_DISK, file, out, cap) == 0;
}

/* Where the slice begins that a target may be of a file: the last '@' of it, or its end. The host tool cuts at the
 * same place. */
static size_t slice_at(const char *target)
{
	size_t at = strlen(target);

	for (const char *s = target; (s = strchr(s, '@')); s++)
		at = (size_t)(s - target);
	return at;
}

/* The same for disks: a target is a host path, and the serial number is how the host tool marked
 * the disk it attached for it. What comes out is the `params` of the backend's node, as
 * host_block_find reads it. A target that no mark explains may be one of the machine's disks by its own name. */
int archive_disk(void *ctx, const char *target, char *out_params, size_t cap)
{
	char serial[64], file[CONFIG_PATH_MAX];
	size_t at = strlen(target);

	(void)ctx;
	(void)str_copy(file, sizeof(file), target);
	if (!find_serial(file, serial, sizeof(serial))) {
		at = slice_at(target);
		file[MIN(at, sizeof(file) - 1)] = '\0';
		if (!find_serial(file, serial, sizeof(serial))) {
			if (!host_block_find(target))
				return -XEN_ENOENT;
			return str_copy(out_params, cap, target) ? 0 : -XEN_E2BIG;
		}
	}
	fmt_text(out_params, cap, "serial=%s%s", serial, target + at);
	return host_block_find(out_params) ? 0 : -XEN_ENODEV;
}

/* Notes about keys without effect were shown by the host tool to whoever wrote the file; here they
 * would repeat with every restart. */
static void say(void *ctx, bool is_error, const char *text)
{
	(void)ctx;
	if (is_error)
		(void)control_fail(-XEN_EINVAL, "%s", text);
	else
		host_log(HOST_LOG_DEBUG, "%s", text);
}

/* The name is in the manifest and in the file. Were they to differ, `destroy` would know another
 * domain than `create` does. */
int archive_config(const char *name, struct domain_config *out)
{
	static const struct config_listener listener = {say, NULL};
	struct cpio_entry file;
	int err = find_member(MANIFEST_DOMAIN, name, &file);

	if (err)
		err = find_member(MANIFEST_SPARE, name, &file);
	if (err)
		return control_fail(err, "%s: no such domain in the boot archive", name);
	err = domain_config_parse(file.name, file.data, file.len, &listener, out);
	if (!err && strcmp(out->name, name) != 0)
		err = control_fail(-XEN_EINVAL, "%s: its file calls it '%s'", name, out->name);
	return err;
}

int archive_create(const char *name)
{
	struct domain_config *config = host_alloc(sizeof(*config)); /* too large for a stack */
	domid_t domid;
	int err;

	if (!config)
		return -XEN_ENOMEM;
	err = archive_config(name, config);
	if (!err)
		err = control_create(config, &domid);
	host_free(config, sizeof(*config));
	return err;
}

/* In the manifest's order, which is that of the host tool's command line. */
void archive_for_each_domain(void (*fn)(const char *name))
{
	struct manifest_reader reader;
	struct manifest_line line;
	int got;

	if (!manifest.data)
		return;
	manifest_open(&reader, manifest.data, manifest.len);
	while ((got = manifest_next(&reader, &line)) != 0) { /* each step eats a line */
		if (got < 0)
			host_log(HOST_LOG_ERROR, "manifest:%u: not understood", line.line);
		else if (line.kind == MANIFEST_DOMAIN)
			fn(line.key);
	}
}

/* cpio_fuzz.c: no bytes make the archive or the manifest reader touch what is outside them or go
 * round for ever. The input is an archive; it and each of its members are read as a manifest too.
 *
 * Why: the boot module's makers may be wrong, and its reader runs in the service domain. Called by
 * libFuzzer; calls lib/cpio.c and lib/manifest.c.
 * links: lib/cpio.c lib/manifest.c lib/text.c
 */
#include <stdlib.h>
#include <string.h>

#include <amphi/cpio.h>
#include <amphi/manifest.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is understood must be the same when written and read again. */
static void check_line(const struct manifest_line *line)
{
	static char text[6 * MANIFEST_FIELD_MAX + 64];
	struct manifest_reader reader;
	struct manifest_line again;
	size_t n = manifest_format(text, sizeof(text), line->kind, line->key, line->value);

	manifest_open(&reader, text, n);
	if (n >= sizeof(text) || manifest_next(&reader, &again) != 1 || again.kind != line->kind ||
	    strcmp(again.key, line->key) != 0 || strcmp(again.value, line->value) != 0)
		abort();
}

static void read_manifest(const void *text, size_t len)
{
	struct manifest_reader reader;
	struct manifest_line line;
	int got;

	manifest_open(&reader, text, len);
	while ((got = manifest_next(&reader, &line)) != 0)
		if (got == 1)
			check_line(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cpio_reader reader;
	struct cpio_entry entry;
	size_t steps = 0;

	read_manifest(data, size);
	cpio_open(&reader, data, size);
	while (cpio_next(&reader, &entry) == 1) {
		const uint8_t *bytes = entry.data;

		if (++steps > size / 110 || bytes < data || bytes + entry.len > data + size ||
		    strlen(entry.name) >= CPIO_NAME_MAX)
			abort();
		read_manifest(entry.data, entry.len);
	}
	return 0;
}

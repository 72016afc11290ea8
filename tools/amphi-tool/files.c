/* files.c: whole files into memory, with errors that name them. Called by the other files here. */
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Read to the end and not by size: pipes and /proc have none. */
char *read_file(const char *path, size_t *out_len)
{
	FILE *f = fopen(path, "rb");
	size_t cap = 1 << 16, len = 0, got;
	char *bytes = malloc(cap);

	if (!f)
		fail(EXIT_CONFIG, "cannot read %s: %s", path, strerror(errno));
	/* Doubling, and a byte kept free for the NUL. */
	while (bytes && (got = fread(bytes + len, 1, cap - len - 1, f)) > 0) {
		len += got;
		if (len + 1 == cap)
			bytes = realloc(bytes, cap *= 2);
	}
	if (!bytes)
		fail(EXIT_CONFIG, "%s: not enough memory", path);
	if (ferror(f))
		fail(EXIT_CONFIG, "cannot read %s: %s", path, strerror(errno));
	fclose(f);
	/* For readers of text; len does not count it. */
	bytes[len] = '\0';
	*out_len = len;
	return bytes;
}

/* cpio.h: archives in the "new ASCII" form of cpio (newc), read and written.
 *
 * Callers: kernel/service_archive.c and user_load.c read the boot module, the host tool writes it. Implemented by
 * lib/cpio.c: pure, allocates nothing. What is read is not trusted: every length is checked
 * against the archive. Only regular files matter; links, owners and times are ignored.
 */
#ifndef AMPHI_CPIO_H
#define AMPHI_CPIO_H

#include <amphi/types.h>

#define CPIO_NAME_MAX 256u /* with the NUL; longer names are an error */

struct cpio_reader {
	const uint8_t *bytes;
	size_t len;
	size_t next; /* offset of the next header */
};

struct cpio_entry {
	const char *name; /* inside the archive, ended by NUL */
	const void *data; /* inside the archive, len bytes, not ended by anything */
	size_t len;
	uint32_t mode; /* S_IFREG 0100000, S_IFDIR 0040000 */
};

void cpio_open(struct cpio_reader *reader, const void *bytes, size_t len);

/* 1: *out is the next entry. 0: the trailer, or the end of the bytes at an entry's border, was
 * reached. -XEN_EINVAL: broken; the reader stays where it is. At most len / 110 entries. */
int cpio_next(struct cpio_reader *reader, struct cpio_entry *out);

/* The first regular file of that name: 0, -XEN_ENOENT, or -XEN_EINVAL when the archive is
 * broken before it. */
int cpio_find(const void *bytes, size_t len, const char *name, struct cpio_entry *out);

/* ---- writing: header, data, padding for each file; the trailer last ---- */

#define CPIO_HEADER_MAX (110u + CPIO_NAME_MAX + 3u)

/* Writes the header of a regular file of size_bytes (below 4 GiB) with its name and padding to out,
 * which holds CPIO_HEADER_MAX bytes. Returns its length; 0 when the name or size does not fit. */
size_t cpio_write_header(uint8_t *out, const char *name, uint64_t size_bytes);

/* Zero bytes that must follow size_bytes of data: 0..3. */
unsigned cpio_padding(uint64_t size_bytes);

/* The last header, as above. */
size_t cpio_write_trailer(uint8_t *out);

#endif

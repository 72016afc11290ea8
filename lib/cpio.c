/* cpio.c: reads and writes archives in the new ASCII form (newc): the boot module's wrapping.
 *
 * Pure. A header is 110 ASCII characters: the magic 070701 (070702 carries a checksum, which is not
 * looked at) and 13 fields of 8 hexadecimal digits; then the name with its NUL, padding to 4, the
 * data, padding to 4. Offsets count from the archive's beginning. Callers: kernel/service_archive.c, user_load.c
 * and fuzzers read; the host tool writes. Calls: string.h.
 */
#include <amphi/cpio.h>
#include <amphi/string.h>
#include <amphi/xen.h>

/* newc is cpio(5)'s "New ASCII Format"; a member that ends the archive is called TRAILER!!!, and
 * modes are those of stat(2). */
#define HEADER_BYTES 110u
#define TRAILER      "TRAILER!!!"
#define MODE_TYPE    0170000u
#define MODE_FILE    0100000u

/* Places of the fields after the magic. */
enum { FIELD_MODE = 1, FIELD_NLINK = 4, FIELD_SIZE = 6, FIELD_NAMESIZE = 11, FIELDS = 13 };

void cpio_open(struct cpio_reader *reader, const void *bytes, size_t len)
{
	*reader = (struct cpio_reader){.bytes = bytes, .len = len};
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Exactly eight digits: no sign, no blank, no prefix, as a C library's scanner would let through.
 */
static bool get_field(const uint8_t *header, unsigned field, uint32_t *out)
{
	const uint8_t *p = header + 6 + field * 8;

	*out = 0;
	for (unsigned i = 0; i < 8; i++) {
		int digit = hex_digit(p[i]);

		if (digit < 0)
			return false;
		*out = *out << 4 | (uint32_t)digit;
	}
	return true;
}

static bool is_magic(const uint8_t *header)
{
	return memcmp(header, "07070", 5) == 0 && (header[5] == '1' || header[5] == '2');
}

/* Returns 1 with a member, 0 at the end, or an error for what cannot be told from rubbish. */
int cpio_next(struct cpio_reader *r, struct cpio_entry *out)
{
	size_t left = r->len - r->next, name_end, data_end;
	const uint8_t *header = r->bytes + r->next;
	uint32_t size, name_size, mode;

	if (left == 0)
		return 0;
	if (left < HEADER_BYTES || !is_magic(header) || !get_field(header, FIELD_SIZE, &size) ||
	    !get_field(header, FIELD_NAMESIZE, &name_size) || !get_field(header, FIELD_MODE, &mode))
		return -XEN_EINVAL;
	/* Each length is compared with what is left, never added to a place first: the sum could
	 * wrap. */
	if (name_size == 0 || name_size > CPIO_NAME_MAX || name_size > left - HEADER_BYTES)
		return -XEN_EINVAL;
	name_end = ROUND_UP(r->next + HEADER_BYTES + name_size, 4);
	if (name_end > r->len || size > r->len - name_end)
		return -XEN_EINVAL;
	/* The name must end where its size says and not before, so that a string function sees all
	 * of it. */
	if (strnlen((const char *)header + HEADER_BYTES, name_size) != name_size - 1)
		return -XEN_EINVAL;
	/* Views into the archive: it stays where it is, and files are used in place. */
	*out = (struct cpio_entry){.name = (const char *)header + HEADER_BYTES,
				   .data = r->bytes + name_end,
				   .len = size,
				   .mode = mode};
	if (strcmp(out->name, TRAILER) == 0)
		return 0;
	/* The last file's padding may be missing at the very end. */
	data_end = ROUND_UP(name_end + size, 4);
	r->next = MIN(data_end, r->len);
	return 1;
}

/* The first of a name wins; directories and links of that name are passed over. */
int cpio_find(const void *bytes, size_t len, const char *name, struct cpio_entry *out)
{
	struct cpio_reader reader;
	int err;

	cpio_open(&reader, bytes, len);
	while ((err = cpio_next(&reader, out)) == 1) { /* each step eats at least a header */
		if ((out->mode & MODE_TYPE) == MODE_FILE && strcmp(out->name, name) == 0)
			return 0;
	}
	return err ? err : -XEN_ENOENT;
}

/* ---- writing ------------------------------------------------------------------------ */

static void put_field(uint8_t *header, unsigned field, uint32_t value)
{
	uint8_t *p = header + 6 + field * 8;

	for (unsigned i = 0; i < 8; i++)
		p[i] = (uint8_t) "0123456789abcdef"[value >> (28 - 4 * i) & 0xf];
}

/* Times, owners and inode numbers stay 0, so that the same files always make the same archive. */
static size_t write_header(uint8_t *out, const char *name, uint32_t size, uint32_t mode)
{
	size_t name_size = strlen(name) + 1, end = ROUND_UP(HEADER_BYTES + name_size, 4);

	memset(out, 0, end);
	memcpy(out, "070701", 6);
	for (unsigned field = 0; field < FIELDS; field++)
		put_field(out, field, 0);
	put_field(out, FIELD_MODE, mode);
	put_field(out, FIELD_NLINK, 1);
	put_field(out, FIELD_SIZE, size);
	put_field(out, FIELD_NAMESIZE, (uint32_t)name_size);
	memcpy(out + HEADER_BYTES, name, name_size);
	return end;
}

/* 0 when the format cannot say it: a size field has 32 bits. */
size_t cpio_write_header(uint8_t *out, const char *name, uint64_t size_bytes)
{
	if (strnlen(name, CPIO_NAME_MAX) == CPIO_NAME_MAX || size_bytes > UINT32_MAX)
		return 0;
	return write_header(out, name, (uint32_t)size_bytes, MODE_FILE | 0644u);
}

unsigned cpio_padding(uint64_t size_bytes)
{
	return (unsigned)(-size_bytes & 3);
}

size_t cpio_write_trailer(uint8_t *out)
{
	return write_header(out, TRAILER, 0, 0);
}

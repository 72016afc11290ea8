/* rio.c: reads the Rio Grande table.
 *
 * Caller: calgary.c; pure. The area is firmware's and any length: every byte is checked to be there before it is read, and the chain of blocks
 * is followed only upwards, so that it ends.
 */
#include "rio.h"

#include <amphi/string.h>
#include <amphi/xen.h>

#include "firmware_table.h"

#define FIRST_BLOCK  0x180u
#define BLOCK_HEADER 4u /* where the next one is, which this is */
#define BLOCK_RIO    0x4752u
#define TABLE_HEADER 3u /* version, scalability devices, I/O devices */

/* Of an I/O device. */
#define AT_REGISTERS 1u
#define AT_KIND      5u
enum { COMPATIBLE_CALGARY = 4, OTHER_CALGARY };

/* How long the devices are described, by version. */
static const struct {
	uint8_t scalability, io;
} sizes[] = {[2] = {11, 13}, [3] = {12, 15}};

static int wrong(struct rio *r, const char *what)
{
	r->problem = what;
	return -XEN_EINVAL;
}

/* Where the table begins; 0: there is none. */
static size_t find(const uint8_t *p, size_t len)
{
	size_t last = 0, at = FIRST_BLOCK;

	while (at > last && at + BLOCK_HEADER <= len) {
		if (table_get(p + at + 2, 2) == BLOCK_RIO)
			return at + BLOCK_HEADER;
		last = at;
		at = table_get(p + at, 2);
	}
	return 0;
}

static int add(struct rio *r, const uint8_t *p)
{
	uint32_t registers = table_get(p + AT_REGISTERS, 4);

	if (p[AT_KIND] != COMPATIBLE_CALGARY && p[AT_KIND] != OTHER_CALGARY)
		return 0;
	if (r->n_calgaries == RIO_CALGARIES)
		return wrong(r, "too many Calgaries");
	if (!registers || registers & ~PAGE_MASK)
		return wrong(r, "a Calgary without registers");
	r->registers[r->n_calgaries++] = registers;
	return 0;
}

int rio_parse(const void *ebda, size_t len, struct rio *out)
{
	const uint8_t *p = ebda;
	size_t at = find(p, len);
	unsigned version, n_scalability, n_io;
	int err = 0;

	memset(out, 0, sizeof(*out));
	out->problem = "there is none";
	if (!at)
		return -XEN_ENODEV;
	if (len - at < TABLE_HEADER)
		return wrong(out, "a table that is cut off");
	version = p[at];
	n_scalability = p[at + 1];
	n_io = p[at + 2];
	at += TABLE_HEADER;
	if (version >= ARRAY_SIZE(sizes) || !sizes[version].io)
		return wrong(out, "a table of another version");
	if (n_scalability * sizes[version].scalability + n_io * sizes[version].io > len - at)
		return wrong(out, "a table that is cut off");
	at += n_scalability * sizes[version].scalability;
	for (unsigned i = 0; i < n_io && !err; i++)
		err = add(out, p + at + i * sizes[version].io);
	return err;
}

/* block_find.c: which disk the words in a domain file mean.
 *
 *    [phy:][/dev/]NAME            nvme0n1, vda, nvme0n1p2
 *    nbd://HOST[:PORT]/EXPORT     a disk of an NBD server (amphi/nbd.h)
 *    serial=N                     the disk that tells this number
 *    PARTUUID=U                   a partition by its own number (GPT), or signature-number (MBR)
 *    PARTLABEL=L, LABEL=L         by its name in a GPT
 *    ... @OFFSET+LENGTH           a slice of any of them, in bytes; K, M and G are powers of 1024
 *
 * Contract: host_block_find in amphi/host_block.h. Worker context. A name that two disks have means neither: a
 * guest may write any table to its disk, and must not get another's by it. Calls the registry, block_window.c.
 */
#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/nbd.h>
#include <amphi/printf.h>
#include <amphi/string.h>
#include "block.h"
#include "block_window.h"

#define RAMDISK_BYTES (4u << 20)
#define BASE_MAX      128u

/* "ram0" and so on: made when first asked for, so that a domain file can name one for measurements.
 */
static bool is_ramdisk_name(const char *name)
{
	return str_starts(name, "ram") && name[3] >= '0' && name[3] <= '9' && !name[4];
}

/* GUIDs are written in either case. */
static bool same_text(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		char x = *a >= 'A' && *a <= 'F' ? (char)(*a | 0x20) : *a;
		char y = *b >= 'A' && *b <= 'F' ? (char)(*b | 0x20) : *b;

		if (x != y)
			return false;
	}
	return *a == *b;
}

static bool has_uuid(const struct block_device *dev, const char *value)
{
	return same_text(dev->partuuid, value);
}

static bool has_label(const struct block_device *dev, const char *value)
{
	return !strcmp(dev->partlabel, value);
}

static struct block_device *
the_only_one(bool (*has)(const struct block_device *dev, const char *value), const char *value)
{
	struct block_device *found = NULL, *dev;

	for (dev = block_next(NULL); dev && *value; dev = block_next(dev)) {
		if (!has(dev, value))
			continue;
		if (found) {
			host_log(HOST_LOG_ERROR, "'%s' is both %s and %s: neither is used", value,
				 found->name, dev->name);
			return NULL;
		}
		found = dev;
	}
	return found;
}

static struct block_device *find_by_name(const char *name)
{
	if (str_starts(name, "phy:"))
		name += strlen("phy:");
	if (str_starts(name, "/dev/"))
		name += strlen("/dev/");
	if (is_ramdisk_name(name) && !block_find(name))
		(void)ramdisk_create(name, RAMDISK_BYTES, SECTOR_SIZE);
	return block_find(name);
}

static struct block_device *find_base(const char *params)
{
	static const struct {
		const char *prefix;
		bool (*has)(const struct block_device *dev, const char *value);
	} tags[] = {{"PARTUUID=", has_uuid}, {"PARTLABEL=", has_label}, {"LABEL=", has_label}};

	if (str_starts(params, "nbd://"))
		return nbd_find(params);
	if (str_starts(params, "serial="))
		return block_find_serial(params + strlen("serial="));
	for (unsigned i = 0; i < ARRAY_SIZE(tags); i++)
		if (str_starts(params, tags[i].prefix))
			return the_only_one(tags[i].has, params + strlen(tags[i].prefix));
	return find_by_name(params);
}

/* ---- slices ------------------------------------------------------------------------------------ */

/* Bytes with a suffix, up to the character `end`, which may be the NUL. */
static bool parse_bytes(const char *text, const char *end, uint64_t *out)
{
	static const char suffixes[] = "KMG";
	size_t len = (size_t)(end - text);
	unsigned shift = 0;
	const char *suffix;
	char number[24];

	if (!len || len >= sizeof(number))
		return false;
	memcpy(number, text, len);
	number[len] = '\0';
	suffix = strchr(suffixes, number[len - 1]);
	if (suffix) {
		shift = 10 * (unsigned)(suffix - suffixes + 1);
		number[len - 1] = '\0';
	}
	if (!str_to_u64(number, out) || *out << shift >> shift != *out)
		return false;
	*out <<= shift;
	return true;
}

static struct block_device *slice(struct block_device *whole, uint64_t start, uint64_t bytes)
{
	static unsigned count;
	uint64_t mask = whole->sector_size - 1, disk_bytes = whole->sectors * SECTOR_SIZE;
	struct block_device *dev;

	if (!bytes || ((start | bytes) & mask) || start >= disk_bytes ||
	    bytes > disk_bytes - start) {
		host_log(HOST_LOG_ERROR,
			 "a slice of %s is not on it, or not in whole sectors of %u bytes",
			 whole->name, whole->sector_size);
		return NULL;
	}
	dev = block_window_find(whole, start / SECTOR_SIZE, bytes / SECTOR_SIZE);
	if (dev)
		return dev;
	dev = block_window_new(whole, start / SECTOR_SIZE, bytes / SECTOR_SIZE);
	if (!dev)
		return NULL;
	fmt_text(dev->name, sizeof(dev->name), "slice%u", count++);
	host_log(HOST_LOG_INFO, "%s: %s from byte %llu", dev->name, whole->name,
		 (unsigned long long)start);
	host_block_register(dev);
	return dev;
}

/* The last '@': a label may have one. Without a '+' behind it, it is part of a name. */
struct block_device *host_block_find(const char *params)
{
	const char *at = NULL, *plus, *next = params;
	uint64_t start, bytes;
	char base[BASE_MAX];
	struct block_device *whole;

	while ((next = strchr(next, '@')))
		at = next++;
	plus = at ? strchr(at, '+') : NULL;
	if (!plus)
		return find_base(params);
	if ((size_t)(at - params) >= sizeof(base) || !parse_bytes(at + 1, plus, &start) ||
	    !parse_bytes(plus + 1, plus + strlen(plus), &bytes)) {
		host_log(HOST_LOG_ERROR, "'%s' is not DISK@OFFSET+LENGTH", params);
		return NULL;
	}
	memcpy(base, params, (size_t)(at - params));
	base[at - params] = '\0';
	whole = find_base(base);
	if (whole && whole->coming) {
		host_log(HOST_LOG_ERROR, "%s: its server has not answered yet", whole->name);
		return NULL;
	}
	return whole ? slice(whole, start, bytes) : NULL;
}

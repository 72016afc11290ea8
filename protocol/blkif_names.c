/* blkif_names.c: names of disks and of ring layouts, and the numbers behind them.
 *
 * The numbering of disks is that of Xen's vbd interface: old-style major << 8 | minor for xvd, hd and sd,
 * and 1 << 28 | disk << 8 | partition where that has no room. Called by both block halves and by
 * the domain builder. Pure functions, any context.
 */
#include <amphi/blkif.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#define VDEV_EXTENDED (1u << 28)
#define XVD_OLD_DISKS 16u /* beyond: only the extended form has room */

/* Where a family of names lives in old-style numbers. Majors and minor layouts are Linux's of old
 * (Documentation/admin-guide/devices.txt), which is what a toolstack writes into the store and a
 * stock blkfront decodes. hd has two rows because the second IDE channel has a major of its own; sd
 * beyond its first 16 disks has no number in xen-vbd-interface(7). */
static const struct family {
	const char *prefix;
	unsigned major, shift; /* shift: bits of partition within the minor */
	unsigned first, disks; /* which disks of the family this row holds */
} families[] = {
    {"xvd", 202, 4, 0, XVD_OLD_DISKS},
    {"sd", 8, 4, 0, 16},
    {"hd", 3, 6, 0, 2},
    {"hd", 22, 6, 2, 2},
};

/* 0 -> "a", 25 -> "z", 26 -> "aa": bijective base 26. Disk numbers have at most 20 bits, so 5
 * letters. */
static void disk_letters(unsigned disk, char out[8])
{
	char reversed[8];
	unsigned n = 0;

	for (disk++; disk > 0 && n < sizeof(reversed) - 1; disk = (disk - 1) / 26)
		reversed[n++] = (char)('a' + (disk - 1) % 26);
	for (unsigned i = 0; i < n; i++)
		out[i] = reversed[n - 1 - i];
	out[n] = '\0';
}

/* Partition 0 is the whole disk and has no digit. */
static void put_name(char *out, size_t cap, const char *prefix, unsigned disk, unsigned partition)
{
	char letters[8];

	disk_letters(disk, letters);
	if (partition)
		fmt_text(out, cap, "%s%s%u", prefix, letters, partition);
	else
		fmt_text(out, cap, "%s%s", prefix, letters);
}

bool blkif_vdev_name(unsigned vdev, char *out, size_t cap)
{
	unsigned major = vdev >> 8, minor = vdev & 0xff;

	/* Bits above the extended flag are no form of the number: such a vdev is named by its value
	 * below. */
	if (vdev & VDEV_EXTENDED && vdev < VDEV_EXTENDED << 1) {
		put_name(out, cap, "xvd", (vdev & ~VDEV_EXTENDED) >> 8, vdev & 0xff);
		return true;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(families); i++) {
		const struct family *f = &families[i];

		if (major == f->major && minor >> f->shift < f->disks) {
			put_name(out, cap, f->prefix, f->first + (minor >> f->shift),
				 minor & ((1u << f->shift) - 1));
			return true;
		}
	}
	fmt_text(out, cap, "vbd%u", vdev);
	return false;
}

/* Digits at *s, at most max; *s moves behind them. False: none, or too great. The bound is checked
 * at each digit, so a long text can neither wrap v nor run far. */
static bool take_number(const char **s, unsigned max, unsigned *out)
{
	uint64_t v = 0;
	const char *p = *s;

	for (; *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (unsigned)(*p - '0');
		if (v > max)
			return false;
	}
	if (p == *s)
		return false;
	*s = p;
	*out = (unsigned)v;
	return true;
}

/* The inverse of disk_letters. Five letters are more than 20 bits hold: this bound keeps the sum
 * within an unsigned, the exact one is the caller's. */
static bool take_letters(const char **s, unsigned *out_disk)
{
	unsigned disk = 0, n = 0;

	for (; **s >= 'a' && **s <= 'z'; (*s)++)
		if (++n > 5)
			return false;
		else
			disk = disk * 26 + (unsigned)(**s - 'a') + 1;
	*out_disk = disk - 1;
	return n > 0;
}

/* Says no also when the partition does not fit this family's bits (hd has 6, the others 4): then
 * the caller may still find another form. */
static bool family_number(const struct family *f, unsigned disk, unsigned partition, unsigned *out)
{
	if (disk < f->first || disk >= f->first + f->disks || partition >= 1u << f->shift)
		return false;
	*out = f->major << 8 | (disk - f->first) << f->shift | partition;
	return true;
}

/* "xvda1" and its like; an xvd without room in the old form takes the extended one. */
static bool lettered_number(const char *name, unsigned *out)
{
	for (unsigned i = 0; i < ARRAY_SIZE(families); i++) {
		const struct family *f = &families[i];
		const char *s = name + strlen(f->prefix);
		unsigned disk, partition = 0;

		if (strncmp(name, f->prefix, strlen(f->prefix)) != 0 || !take_letters(&s, &disk))
			continue;
		/* No leading zero: "xvda0" would be the whole disk and "xvda01" its first
		 * partition, by names that no system prints. */
		if (*s && (*s == '0' || !take_number(&s, 255, &partition) || *s))
			return false;
		if (family_number(f, disk, partition, out))
			return true;
		if (f->major == 202 && disk < 1u << 20) {
			*out = VDEV_EXTENDED | disk << 8 | partition;
			return true;
		}
	}
	return false;
}

/* "d3p1" or "d3". The form of xen-vbd-interface(7) for any kind of disk: it has no family, and
 * means the xvd disk of that number. */
static bool numbered_number(const char *name, unsigned *out)
{
	const char *s = name + 1;
	unsigned disk, partition = 0;

	if (*name != 'd' || !take_number(&s, (1u << 20) - 1, &disk))
		return false;
	if (*s == 'p' && (s++, !take_number(&s, 255, &partition)))
		return false;
	if (*s)
		return false;
	if (disk < XVD_OLD_DISKS && partition < 16)
		*out = 202u << 8 | disk << 4 | partition;
	else
		*out = VDEV_EXTENDED | disk << 8 | partition;
	return true;
}

/* For configurations that give the number itself. 0x1fffffff: the flag of the extended form is the
 * highest bit that a number can have. */
static bool plain_number(const char *name, unsigned *out)
{
	uint64_t v = 0;
	const char *s = name;

	if (s[0] != '0' || s[1] != 'x')
		return take_number(&s, 0x1fffffff, out) && *s == '\0';
	for (s += 2; *s; s++) {
		unsigned d = *s >= 'a' ? (unsigned)(*s - 'a') + 10 : (unsigned)(*s - '0');

		if (d > 15 || (*s > '9' && *s < 'a') || (v = v * 16 + d) > 0x1fffffff)
			return false;
	}
	*out = (unsigned)v;
	return s != name + 2;
}

bool blkif_vdev_number(const char *name, unsigned *out_vdev)
{
	/* The order is no matter of meaning: "d3" is not lettered (no family is called d) and a
	 * plain number begins with a digit. */
	return lettered_number(name, out_vdev) || numbered_number(name, out_vdev) ||
	       plain_number(name, out_vdev);
}

const struct blkif_layout *blkif_layout(const char *protocol)
{
	/* The first is native: a frontend that names no layout has the backend's own. */
	static const struct blkif_layout layouts[] = {
	    {XEN_IO_PROTO_ABI_X86_64, BLKIF_SLOT_BYTES, offsetof(struct blkif_request, id),
	     sizeof(struct blkif_response)},
	    {XEN_IO_PROTO_ABI_X86_32, sizeof(struct blkif_request32),
	     offsetof(struct blkif_request32, id), sizeof(struct blkif_response32)},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(layouts); i++)
		if (*protocol == '\0' || strcmp(protocol, layouts[i].protocol) == 0)
			return &layouts[i];
	return NULL;
}

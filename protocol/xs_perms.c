/* xs_perms.c: permissions of a node, between their texts ("n0", "r5", "b7") and bits.
 *
 * The first entry is special: its domain owns the node and may do everything, and its letter is
 * what every domain without an entry may do. Callers: the store's server; control and the client
 * to write such texts. Calls only string.h and printf.h.
 */
#include <amphi/printf.h>
#include <amphi/string.h>
#include <amphi/xs_wire.h>

/* Indexed by XS_PERM_READ | XS_PERM_WRITE. */
static const char letters[] = "nrwb";

/* The first entry that names the domain wins, so a later "n5" behind "r5" takes nothing away; this
 * is also how stock servers read it. The caller handles privileged domains, which may do all. */
unsigned xs_perms_of(const struct xs_perms *perms, domid_t domid)
{
	if (perms->entry[0].domid == domid)
		return XS_PERM_READ | XS_PERM_WRITE | XS_PERM_OWNER;
	for (unsigned i = 1; i < perms->count; i++)
		if (perms->entry[i].domid == domid)
			return perms->entry[i].may;
	return perms->entry[0].may;
}

/* Reserved domain ids (DOMID_SELF and the like) are no domains that could hold a right. */
static bool parse_one(const char *text, struct xs_perm *out)
{
	const char *letter = *text ? strchr(letters, *text) : NULL;
	uint64_t domid;

	if (!letter || !xs_text_to_number(text + 1, DOMID_FIRST_RESERVED - 1, &domid))
		return false;
	*out = (struct xs_perm){.domid = (domid_t)domid, .may = (uint16_t)(letter - letters)};
	return true;
}

/* Decodes into a copy, so that an error leaves out as it was. */
int xs_perms_parse(const char *text, size_t len, struct xs_perms *out)
{
	struct xs_reader payload = {text, len};
	struct xs_perms perms = {0};

	while (payload.left) {
		const char *one = xs_next_text(&payload);

		if (perms.count == XS_PERMS_MAX)
			return -XEN_ENOSPC;
		if (!one || !parse_one(one, &perms.entry[perms.count]))
			return -XEN_EINVAL;
		perms.count++;
	}
	/* A node without an owner could be changed by nobody, and nobody would be charged for
	 * it. */
	if (!perms.count)
		return -XEN_EINVAL;
	*out = perms;
	return 0;
}

int xs_perms_format(const struct xs_perms *perms, char *out, size_t cap)
{
	size_t used = 0;

	for (unsigned i = 0; i < perms->count; i++) {
		const struct xs_perm *entry = &perms->entry[i];

		/* + 1: each text keeps its NUL, which is how the wire tells one entry from the
		 * next. */
		used += fmt_text(out + used, cap - used, "%c%u", letters[entry->may & 3u],
				 entry->domid) +
			1;
		if (used > cap)
			return -XEN_E2BIG;
	}
	return (int)used;
}

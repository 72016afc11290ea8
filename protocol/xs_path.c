/* xs_path.c: what is a path in the store, and which path lies below which.
 *
 * Pure functions over texts that end with NUL (the caller has made sure). Both ends of the store
 * use them: the server because it must, the client to refuse early. Callers: the store's server
 * and client, control. Calls only string.h and printf.h.
 */
#include <amphi/printf.h>
#include <amphi/string.h>
#include <amphi/xs_wire.h>

/* The set of xenstore.txt. It is checked and not only documented because a path goes into logs, and
 * back to every watcher, as it came. */
static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '@' || c == '/';
}

/* Every character is one of a path's; counts the names. 0 when the form is wrong. */
static unsigned count_names(const char *path)
{
	unsigned names = 1;

	for (size_t i = 0; path[i]; i++) {
		if (!name_char(path[i]))
			return 0;
		if (path[i] != '/')
			continue;
		if (path[i + 1] == '/' || !path[i + 1])
			return 0; /* an empty name, in the middle or at the end */
		names += i > 0;
	}
	return names;
}

/* Everything that takes a path relies on this having been asked: no empty name, no end in '/', a
 * bounded number of names. */
bool xs_path_valid(const char *path, bool special)
{
	size_t max = *path == '/' ? XENSTORE_ABS_PATH_MAX : XENSTORE_REL_PATH_MAX;
	size_t len = strnlen(path, max + 1);
	unsigned names;

	if (!len || len > max)
		return false;
	if (*path == '@')
		return special && !strchr(path, '/') && count_names(path);
	if (!strcmp(path, "/"))
		return true;
	names = count_names(path);
	/* A relative path stands below /local/domain/N: three names more. */
	return names && names + (*path == '/' ? 0 : 3) <= XS_DEPTH_MAX;
}

int xs_path_absolute(const char *path, domid_t domid, char *out, size_t cap)
{
	size_t len;

	if (*path == '/' || *path == '@')
		len = fmt_text(out, cap, "%s", path);
	else
		/* A guest's "device/vbd" is its own: the base is the domain id that the ring
		 * belongs to, never anything the guest says. */
		len = fmt_text(out, cap, "/local/domain/%u/%s", domid, path);
	return len >= cap || len > XENSTORE_ABS_PATH_MAX ? -XEN_EINVAL : 0;
}

/* The special names stand beside the tree: nothing covers them but themselves. */
bool xs_path_covers(const char *path, const char *changed)
{
	size_t len = strlen(path);

	if (*path == '@' || *changed == '@')
		return !strcmp(path, changed);
	if (!strcmp(path, "/"))
		return true;
	/* The character behind the prefix decides: "/a" is not above "/ab". */
	return !strncmp(path, changed, len) && (changed[len] == '/' || !changed[len]);
}

/* xs_wire.c: the names in the store's messages, and the texts in their payloads.
 *
 * The store speaks of errors by name, so that no two systems need agree on numbers; both ends
 * translate here. Nothing in this file knows what a request means. Callers: the store's server
 * and client. Calls nobody.
 */
#include <amphi/string.h>
#include <amphi/xs_wire.h>

struct error_name {
	int number;
	const char *name;
};

/* The names of xen/io/xs_wire.h: an older client takes any other for EINVAL. The header keeps its
 * table to those who include a libc's errno.h, so ours is beside it. EINVAL is first: it stands
 * for whatever is not here. */
#define ERROR(x)                                                                                   \
	{                                                                                          \
		XEN_##x, #x                                                                        \
	}
static const struct error_name error_names[] = {
    ERROR(EINVAL), ERROR(EACCES),  ERROR(EEXIST),    ERROR(EISDIR), ERROR(ENOENT), ERROR(ENOMEM),
    ERROR(ENOSPC), ERROR(EIO),     ERROR(ENOTEMPTY), ERROR(ENOSYS), ERROR(EROFS),  ERROR(EBUSY),
    ERROR(EAGAIN), ERROR(EISCONN), ERROR(E2BIG),     ERROR(EPERM),
};

/* Never NULL, since the caller puts it into a reply to a peer: a peer must not be able to find an
 * error of ours that has no name. */
const char *xs_error_name(int error)
{
	int number = error < 0 ? -error : error;

	for (size_t i = 0; i < ARRAY_SIZE(error_names); i++)
		if (error_names[i].number == number)
			return error_names[i].name;
	return error_names[0].name;
}

/* Some servers send more names than the header has (EQUOTA): an error it stays. */
int xs_error_number(const char *name, size_t len)
{
	len = strnlen(name, len);
	for (size_t i = 0; i < ARRAY_SIZE(error_names); i++)
		if (strlen(error_names[i].name) == len && !memcmp(error_names[i].name, name, len))
			return -error_names[i].number;
	return -XEN_EINVAL;
}

/* By index: a type that Xen adds is one row, and a hole between them answers "?". */
static const char *const type_names[XS_TYPE_COUNT] = {
    [XS_CONTROL] = "CONTROL",
    [XS_DIRECTORY] = "DIRECTORY",
    [XS_READ] = "READ",
    [XS_GET_PERMS] = "GET_PERMS",
    [XS_WATCH] = "WATCH",
    [XS_UNWATCH] = "UNWATCH",
    [XS_TRANSACTION_START] = "TRANSACTION_START",
    [XS_TRANSACTION_END] = "TRANSACTION_END",
    [XS_INTRODUCE] = "INTRODUCE",
    [XS_RELEASE] = "RELEASE",
    [XS_GET_DOMAIN_PATH] = "GET_DOMAIN_PATH",
    [XS_WRITE] = "WRITE",
    [XS_MKDIR] = "MKDIR",
    [XS_RM] = "RM",
    [XS_SET_PERMS] = "SET_PERMS",
    [XS_WATCH_EVENT] = "WATCH_EVENT",
    [XS_ERROR] = "ERROR",
    [XS_IS_DOMAIN_INTRODUCED] = "IS_DOMAIN_INTRODUCED",
    [XS_RESUME] = "RESUME",
    [XS_SET_TARGET] = "SET_TARGET",
    [XS_RESET_WATCHES] = "RESET_WATCHES",
    [XS_DIRECTORY_PART] = "DIRECTORY_PART",
};

const char *xs_type_name(uint32_t type)
{
	return type < XS_TYPE_COUNT && type_names[type] ? type_names[type] : "?";
}

/* strnlen: a payload's last text may lack its NUL. */
const char *xs_next_text(struct xs_reader *payload)
{
	const char *text = payload->at;
	/* A text that ends at the end of the payload, without a NUL, is not given out: what follows
	 * in the buffer is not of this message. */
	size_t len = strnlen(text, payload->left);

	if (len == payload->left)
		return NULL;
	payload->at += len + 1;
	payload->left -= len + 1;
	return text;
}

/* Checks before it multiplies: value * 10 + digit <= max, so nothing overflows. */
bool xs_text_to_number(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		unsigned digit = (unsigned char)*text - '0';

		if (digit > 9 || value > (max - MIN(max, digit)) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	return value <= max;
}

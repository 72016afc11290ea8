/* error_name.c: names of Xen's error numbers, made from Xen's own list of them.
 *
 * Pure. Callers: the domain builder, the shell and others that tell a person.
 */
#include <amphi/types.h>

#include <amphi/error_name.h>

struct name {
	int number;
	const char *text;
};

/* xen/errno.h is made to be taken in again with XEN_ERRNO defined; it gives an enum else. */
static const struct name names[] = {
#define XEN_ERRNO(name, value) {value, #name},
#include <xen/errno.h>
};

/* Takes what our functions return: negative numbers. */
const char *error_name(int err)
{
	if (err == 0)
		return "no error";
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].number == -err)
			return names[i].text;
	}
	return "an unknown error";
}

/* json.h: a reader of JSON texts that tells each value with its place; private to control/.
 *
 * For the configurations of saved domains: strict where it decides what a value is, and bounded, as the text
 * is a stranger's. No tree is built and nothing is allocated. Not a checker of UTF-8: texts are bytes; an
 * escape stands for ASCII or is refused. Pure. Caller: restore_config.c.
 */
#ifndef CONTROL_JSON_H
#define CONTROL_JSON_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_PATH_MAX  96u /* of all keys around a value, with dots; deeper ones are refused */
#define JSON_DEPTH_MAX 12u
#define JSON_TEXT_MAX  1100u /* of a string or number; longer ones are refused */

struct json_value {
	/* "b_info.max_vcpus"; an array adds "[]" to its key: "disks[].vdev" */
	const char *path;
	unsigned index;   /* in the outermost array; 0 without one */
	const char *text; /* a string without its quotes, or the word or number as it stands */
	bool is_string;
};

/* Calls fn with each string, number and word of a document, in order, until it gives other than 0, which is
 * then the result. -XEN_EINVAL: no JSON; then *out_at is where in the text. */
int json_read(const char *text, size_t len, int (*fn)(void *ctx, const struct json_value *v),
	      void *ctx, size_t *out_at);

#endif

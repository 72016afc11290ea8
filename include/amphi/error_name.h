/* error_name.h: the name of an error number, for messages.
 *
 * Callers: anyone who tells a person. Pure; any context. Not for decisions: those compare numbers.
 * err is 0 or negative, as all results in this tree are.
 */
#ifndef AMPHI_ERROR_NAME_H
#define AMPHI_ERROR_NAME_H

/* "ENOMEM" for -XEN_ENOMEM; "an unknown error" for what Xen has no name for. */
const char *error_name(int err);

#endif

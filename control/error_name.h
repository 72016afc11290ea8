/* error_name.h: the name of an error number, for messages; private to control/.
 *
 * Pure. err is 0 or negative, as all results in this tree are.
 */
#ifndef CONTROL_ERROR_NAME_H
#define CONTROL_ERROR_NAME_H

/* "ENOMEM" for -XEN_ENOMEM; "an unknown error" for what Xen has no name for. */
const char *error_name(int err);

#endif

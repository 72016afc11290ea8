/* xs_wire.h: the store's messages, paths, permissions and byte ring, as both ends need them.
 *
 * Callers: drivers-back (store server), drivers-front (store client), kernel/host_store.c,
 * control (permission texts). Implemented by protocol/xs_*.c. The protocol itself is Xen's
 * (xen/io/xs_wire.h and docs/misc/xenstore.txt). Not here: who may do what, and what a request
 * does.
 *
 * Error rule: 0 (or a length where said) or a negative XEN_Exxx. Nothing here allocates, waits
 * or keeps state; any context. Texts from a peer are given as a pointer into private memory and
 * a length, and are never trusted to end with NUL. */
#ifndef AMPHI_XS_WIRE_H
#define AMPHI_XS_WIRE_H

#include <amphi/peer.h>
#include <amphi/types.h>
#include <amphi/xen.h>
#include <xen/io/xs_wire.h>

#define XS_TOKEN_MAX   1023u /* of a watch, with its NUL: path and token always fit one event */
#define XS_DEPTH_MAX   128u  /* names in a path; ours, Xen has no such limit */
#define XS_PERMS_MAX   8u    /* entries of one node, the owner's included */
#define XS_MESSAGE_MAX (sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX)

/* ---- errors and names ---------------------------------------------------------------- */

/* "ENOENT" for -XEN_ENOENT (or XEN_ENOENT); "EINVAL" for a number without a name. */
const char *xs_error_name(int error);

/* -XEN_ENOENT for "ENOENT" (with or without NUL within len); -XEN_EINVAL for an unknown name. */
int xs_error_number(const char *name, size_t len);

/* "READ" for XS_READ, for logs; "?" for a type that is none. */
const char *xs_type_name(uint32_t type);

/* ---- texts within a payload ----------------------------------------------------------- */

/* A payload being read: strings that each end with NUL, one after another. */
struct xs_reader {
	const char *at;
	size_t left;
};

/* The next string, which is ended by NUL within the payload; NULL when there is none. */
const char *xs_next_text(struct xs_reader *payload);

/* A number of base 10 that is the whole text, at most max. False otherwise. */
bool xs_text_to_number(const char *text, uint64_t max, uint64_t *out);

/* ---- paths ---------------------------------------------------------------------------- */

/* Whether path names a node: "/" or an absolute or relative path of [A-Za-z0-9-/_@], no empty name,
 * no final '/', within Xen's lengths and XS_DEPTH_MAX. "@name" is one only when special is true. */
bool xs_path_valid(const char *path, bool special);

/* Writes the absolute form (relative to /local/domain/<domid>) to out[cap]. The path must be valid.
 * -XEN_EINVAL when it does not fit XENSTORE_ABS_PATH_MAX or cap. "@name" stays as it is. */
int xs_path_absolute(const char *path, domid_t domid, char *out, size_t cap);

/* Whether path is above or is the same as changed: "/a" covers "/a" and "/a/b", not "/ab". */
bool xs_path_covers(const char *path, const char *changed);

/* ---- permissions ---------------------------------------------------------------------- */

enum { XS_PERM_NONE = 0, XS_PERM_READ = 1, XS_PERM_WRITE = 2, XS_PERM_OWNER = 4 };

struct xs_perm {
	domid_t domid;
	uint16_t may; /* XS_PERM_READ | XS_PERM_WRITE */
};

/* Entry 0 is the owner's, and its may is everybody else's default. */
struct xs_perms {
	unsigned count; /* 1 .. XS_PERMS_MAX */
	struct xs_perm entry[XS_PERMS_MAX];
};

/* What domid may do, as XS_PERM_ bits; its owner gets all three. */
unsigned xs_perms_of(const struct xs_perms *perms, domid_t domid);

/* "n0\0r5\0" to perms. -XEN_EINVAL: not of that form; -XEN_ENOSPC: too many. */
int xs_perms_parse(const char *text, size_t len, struct xs_perms *out);

/* Writes the texts, each with NUL; returns their length, or -XEN_E2BIG. */
int xs_perms_format(const struct xs_perms *perms, char *out, size_t cap);

/* ---- the ring as two byte streams ----------------------------------------------------- */

enum xs_side { XS_SIDE_SERVER, XS_SIDE_CLIENT };

/* Takes at most cap bytes from the peer's stream, or puts at most len bytes into ours. Returns
 * how many (0: nothing there, or no room), or -XEN_EIO when the indices are impossible; then the
 * ring must not be used again. Indices are fetched once. The caller notifies when the result is
 * > 0. */
int xs_ring_take(struct xenstore_domain_interface *ring, enum xs_side side, void *out, size_t cap);
int xs_ring_put(struct xenstore_domain_interface *ring, enum xs_side side, const void *bytes,
		size_t len);
/* Takes what is there and throws it away, partial messages too. */
void xs_ring_drop(struct xenstore_domain_interface *ring, enum xs_side side);

#endif

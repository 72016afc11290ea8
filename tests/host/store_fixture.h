/* store_fixture.h: what the tests of the store server start from.
 *
 * A server with guests 1 and 2 introduced, each with a home that it owns; requests on the
 * server's own link; the raw guest's end comes from store_host.h. Called by tests only.
 */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <amphi/xs_server.h>

#include "store_host.h"

/* A payload with NULs inside: its own last NUL is sent too (Z), or not (R). */
#define Z(text) (text), sizeof(text)
#define R(text) (text), sizeof(text) - 1

int store_setup(void **state);
int store_setup_quota(const struct xs_quota *quota);
/* Stops the server; all memory must be back. */
int store_teardown(void **state);

/* One request on the local link, as guest_ask; its reply is local_reply. */
int ask(uint32_t type, uint32_t tx, const void *payload, size_t len);
extern char local_reply[REPLY_MAX];
/* Events of the local link since the last call, as "path|token\n". */
const char *local_told(void);

/* A new transaction of a guest, or of the local link (0). */
uint32_t begin(domid_t domid);
/* Makes /local/domain/<domid>, owned by it. */
void make_home(domid_t domid);

#endif

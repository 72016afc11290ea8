/* store_host.h: a small host for tests of the store and the consoles: one service domain, some
 * guests.
 *
 * Implements host.h for the rooms under test: memory that counts and can be made to fail, one
 * shared page per guest and reserved grant entry, one event per page, deferred work run by the
 * test, time moved by the test. On top of it a guest's raw end of the store's ring (guest_ask),
 * which knows the wire format and nothing of our client. Not a model of grants:
 * tests/host/mock_host.h is that.
 */
#ifndef TESTS_STORE_HOST_H
#define TESTS_STORE_HOST_H

#include <amphi/host.h>
#include <amphi/xs_wire.h>
#include <xen/io/console.h>

#define TEST_GUESTS 8u

/* ---- the host ---------------------------------------------------------------------------- */

/* Forgets all; the guests' pages are zeroed. Call first in each test. */
void host_reset(void);
/* Memory now held from host_alloc and host_pages_alloc. */
size_t host_bytes_held(void);
/* The nth allocation from now on fails, and those after it too when always. 0: none. */
void host_fail_alloc(unsigned nth, bool always);
/* Runs due work until none is due. False when it does not come to an end. */
bool host_run(void);
void host_advance_ns(uint64_t delay_ns);
/* How often host_log was called at WARN or above; the last such text. */
unsigned host_warnings(void);
const char *host_last_warning(void);
/* host_log goes to stderr too. */
extern bool host_verbose;

/* Called before each fetch of peer memory, when set. */
extern void (*test_on_fetch)(const volatile void *from, size_t len);

/* ---- guests ------------------------------------------------------------------------------ */

/* domid 1 .. TEST_GUESTS-1 exist. */
struct xenstore_domain_interface *guest_store_page(domid_t domid);
struct xencons_interface *guest_console_page(domid_t domid);
#define STORE_PORT   7u /* the guests' ports for their store and console */
#define CONSOLE_PORT 8u
/* The guest notifies; the service's handler runs. False: nobody listens. */
bool guest_kick(domid_t domid, uint32_t guest_port);
/* Notifications to the guest since the last call. */
unsigned guest_notified(domid_t domid, uint32_t guest_port);

/* One request on the raw ring, and its reply: the length (a NUL is put after it), or the negative
 * XEN_Exxx of an ERROR reply; -XEN_ETIME when none comes. Events that come are put to
 * guest_events as "path|token\n". */
#define REPLY_MAX (XENSTORE_PAYLOAD_MAX + 1)
int guest_ask(domid_t domid, uint32_t type, uint32_t tx, const void *payload, size_t len);
extern char guest_reply[REPLY_MAX];
/* Reads whatever the server has sent; returns and clears the events seen. */
const char *guest_events(domid_t domid);
/* Puts raw bytes into the ring as far as there is room. */
size_t guest_put(domid_t domid, const void *bytes, size_t len);

#endif

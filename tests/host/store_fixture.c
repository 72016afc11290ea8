/* store_fixture.c: a store server with two guests, and the server's own link as tests use it.
 *
 * See store_fixture.h. Called by the tests of the server; calls xs_server.h and store_host.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store_fixture.h"

char local_reply[REPLY_MAX];
static char local_events[1 << 16];

/* Takes all that the local link has to give; the length or error of the reply to request. */
static int take_all(uint32_t request)
{
	static char body[XENSTORE_PAYLOAD_MAX + 1];
	struct xsd_sockmsg head;
	int status = -XEN_ETIME;

	while (xs_local_recv(&head, sizeof(head)) == sizeof(head)) {
		size_t used = strlen(local_events);

		assert_int_equal(xs_local_recv(body, head.len), head.len);
		body[head.len] = 0;
		if (head.type == XS_WATCH_EVENT) {
			snprintf(local_events + used, sizeof(local_events) - used, "%s|%s\n", body,
				 body + strlen(body) + 1);
			continue;
		}
		assert_int_equal(head.req_id, request);
		memcpy(local_reply, body, head.len + 1);
		status = head.type == XS_ERROR ? xs_error_number(body, head.len) : (int)head.len;
	}
	return status;
}

int ask(uint32_t type, uint32_t tx, const void *payload, size_t len)
{
	static uint32_t request = 1000;
	struct xsd_sockmsg head = {type, ++request, tx, (uint32_t)len};

	assert_int_equal(xs_local_send(&head, sizeof(head)), sizeof(head));
	assert_int_equal(xs_local_send(payload, len), len);
	return take_all(request);
}

/* Events of the local link since the last call. */
const char *local_told(void)
{
	static char told[sizeof(local_events)];

	take_all(0);
	memcpy(told, local_events, sizeof(told));
	local_events[0] = 0;
	return told;
}

uint32_t begin(domid_t domid)
{
	int len = domid ? guest_ask(domid, XS_TRANSACTION_START, 0, Z(""))
			: ask(XS_TRANSACTION_START, 0, Z(""));

	assert_true(len > 1);
	return (uint32_t)atoi(domid ? guest_reply : local_reply);
}

void make_home(domid_t domid)
{
	char path[64], payload[96];
	int len;

	len = snprintf(payload, sizeof(payload), "/local/domain/%u", domid) + 1;
	assert_true(ask(XS_MKDIR, 0, payload, (size_t)len) >= 0);
	snprintf(path, sizeof(path), "n%u", domid);
	memcpy(payload + len, path, strlen(path) + 1);
	assert_true(ask(XS_SET_PERMS, 0, payload, (size_t)len + strlen(path) + 1) >= 0);
}

int store_setup_quota(const struct xs_quota *quota)
{
	host_reset();
	local_events[0] = 0;
	assert_int_equal(host_bytes_held(), 0);
	assert_int_equal(xs_server_init(0, quota), 0);
	for (domid_t d = 1; d <= 2; d++) {
		make_home(d);
		assert_int_equal(xs_server_introduce(d, STORE_PORT), 0);
	}
	return 0;
}

int store_setup(void **state)
{
	return store_setup_quota(NULL);
}

int store_teardown(void **state)
{
	xs_server_stop();
	assert_int_equal(host_bytes_held(), 0);
	return 0;
}

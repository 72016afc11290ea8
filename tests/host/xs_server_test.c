/* xs_server_test.c: the store's nodes, permissions and watches, asked as a stock guest asks.
 *
 * Shows that each request answers over the raw ring as Xen's store does, names of errors included,
 * and that a watch tells of every change its owner may know and of no other. Why: stock guests
 * and every split driver rest on these answers. Expected: all pass, and no memory is held at the
 * end of each test.
 *
 * links: tests/host/store_host.c tests/host/store_fixture.c drivers-back/xs_server.c
 * links: drivers-back/xs_server_account.c drivers-back/xs_server_change.c
 * links: drivers-back/xs_server_conn.c drivers-back/xs_server_ops.c
 * links: drivers-back/xs_server_ring.c drivers-back/xs_server_tree.c
 * links: drivers-back/xs_server_tx.c drivers-back/xs_server_watch.c protocol/xs_wire.c
 * links: protocol/xs_path.c protocol/xs_perms.c protocol/xs_ring.c lib/printf.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amphi/xs_server.h>

#include "store_fixture.h"

/* ---- nodes ------------------------------------------------------------------------------- */

static void test_write_read(void **state)
{
	assert_int_equal(guest_ask(1, XS_WRITE, 0, R("data/a\0one")), 3);
	assert_string_equal(guest_reply, "OK");
	assert_int_equal(guest_ask(1, XS_READ, 0, Z("data/a")), 3);
	assert_string_equal(guest_reply, "one");
	assert_int_equal(guest_ask(1, XS_READ, 0, Z("/local/domain/1/data/a")), 3);
	/* The parent came with it, empty. */
	assert_int_equal(guest_ask(1, XS_READ, 0, Z("data")), 0);
	/* A value may be anything, and nothing. */
	assert_int_equal(guest_ask(1, XS_WRITE, 0, R("data/a\0x\0y")), 3);
	assert_int_equal(guest_ask(1, XS_READ, 0, Z("data/a")), 3);
	assert_memory_equal(guest_reply, "x\0y", 3);
	assert_int_equal(guest_ask(1, XS_WRITE, 0, Z("data/a")), 3);
	assert_int_equal(guest_ask(1, XS_READ, 0, Z("data/a")), 0);
	assert_int_equal(guest_ask(1, XS_READ, 0, Z("data/b")), -XEN_ENOENT);
}

static void test_directory(void **state)
{
	assert_int_equal(guest_ask(1, XS_DIRECTORY, 0, Z("data")), -XEN_ENOENT);
	guest_ask(1, XS_WRITE, 0, R("data/zeta\0"));
	guest_ask(1, XS_WRITE, 0, R("data/alpha\0"));
	guest_ask(1, XS_MKDIR, 0, Z("data/mid/below"));
	guest_ask(1, XS_MKDIR, 0, Z("data/mi"));
	assert_int_equal(guest_ask(1, XS_DIRECTORY, 0, Z("data")), 18);
	assert_memory_equal(guest_reply, "alpha\0mi\0mid\0zeta", 18);
	assert_int_equal(guest_ask(1, XS_DIRECTORY, 0, Z("data/mid/below")), 0);
	/* Making what is there is no error and does not empty it. */
	guest_ask(1, XS_WRITE, 0, R("data/mi\0v"));
	assert_int_equal(guest_ask(1, XS_MKDIR, 0, Z("data/mi")), 3);
	assert_int_equal(guest_ask(1, XS_READ, 0, Z("data/mi")), 1);
}

static void test_remove(void **state)
{
	struct xs_counters before, after;

	xs_server_count(&before);
	guest_ask(1, XS_WRITE, 0, R("data/a/b/c\0one"));
	guest_ask(1, XS_WRITE, 0, R("data/a/d\0two"));
	assert_int_equal(guest_ask(1, XS_RM, 0, Z("data/a")), 3);
	assert_int_equal(guest_ask(1, XS_READ, 0, Z("data/a/b/c")), -XEN_ENOENT);
	assert_int_equal(guest_ask(1, XS_READ, 0, Z("data/a")), -XEN_ENOENT);
	/* Gone already: fine where the directory is, not where it is not. */
	assert_int_equal(guest_ask(1, XS_RM, 0, Z("data/a")), 3);
	assert_int_equal(guest_ask(1, XS_RM, 0, Z("data/a/b")), -XEN_ENOENT);
	assert_int_equal(guest_ask(1, XS_RM, 0, Z("/")), -XEN_EACCES);
	assert_int_equal(ask(XS_RM, 0, Z("/")), -XEN_EINVAL);
	assert_int_equal(guest_ask(1, XS_RM, 0, Z("data")), 3);
	xs_server_count(&after);
	assert_int_equal(before.nodes, after.nodes);
	assert_int_equal(before.node_bytes, after.node_bytes);
}

static void test_bad_payloads(void **state)
{
	static char longest[XENSTORE_ABS_PATH_MAX + 8];

	assert_int_equal(guest_ask(1, XS_READ, 0, R("data")), -XEN_EINVAL); /* no NUL */
	assert_int_equal(guest_ask(1, XS_READ, 0, "", 0), -XEN_EINVAL);
	assert_int_equal(guest_ask(1, XS_READ, 0, Z("")), -XEN_EINVAL);
	assert_int_equal(guest_ask(1, XS_READ, 0, Z("data\0more")), -XEN_EINVAL);
	assert_int_equal(guest_ask(1, XS_READ, 0, Z("data//a")), -XEN_EINVAL);
	assert_int_equal(guest_ask(1, XS_READ, 0, Z("data/")), -XEN_EINVAL);
	assert_int_equal(guest_ask(1, XS_WRITE, 0, R("da ta\0x")), -XEN_EINVAL);
	assert_int_equal(guest_ask(1, XS_WRITE, 0, R("@releaseDomain\0x")), -XEN_EINVAL);
	assert_int_equal(guest_ask(1, XS_WATCH, 0, R("data\0token")), -XEN_EINVAL);
	assert_int_equal(guest_ask(1, XS_SET_PERMS, 0, Z("data")), -XEN_EINVAL);
	assert_int_equal(guest_ask(1, XS_TRANSACTION_END, 0, Z("T")), -XEN_ENOENT);
	assert_int_equal(guest_ask(1, XS_READ, 99, Z("data")), -XEN_ENOENT);
	/* Relative paths may have 2048 characters, absolute ones 3072. */
	memset(longest, 'a', sizeof(longest));
	longest[XENSTORE_REL_PATH_MAX + 1] = 0;
	assert_int_equal(guest_ask(1, XS_READ, 0, longest, XENSTORE_REL_PATH_MAX + 2), -XEN_EINVAL);
	longest[XENSTORE_REL_PATH_MAX] = 0;
	assert_int_equal(guest_ask(1, XS_READ, 0, longest, XENSTORE_REL_PATH_MAX + 1), -XEN_ENOENT);
	/* Types that are none, or that only the server sends. */
	assert_int_equal(guest_ask(1, 20, 0, Z("data")), -XEN_ENOSYS);
	assert_int_equal(guest_ask(1, XS_WATCH_EVENT, 0, Z("a\0b")), -XEN_ENOSYS);
	assert_int_equal(guest_ask(1, 0x12345678, 0, Z("data")), -XEN_ENOSYS);
	assert_int_equal(guest_ask(1, XS_CONTROL, 0, Z("print\0x")), -XEN_EACCES);
	/* And it goes on. */
	assert_int_equal(guest_ask(1, XS_WRITE, 0, R("a\0x")), 3);
}

static void test_deep_paths(void **state)
{
	char path[600] = "";

	for (unsigned i = 0; i < XS_DEPTH_MAX - 3; i++)
		strcat(path, i ? "/d" : "d");
	assert_int_equal(guest_ask(1, XS_MKDIR, 0, path, strlen(path) + 1), 3);
	assert_int_equal(guest_ask(1, XS_READ, 0, path, strlen(path) + 1), 0);
	assert_int_equal(guest_ask(1, XS_RM, 0, Z("d")), 3);
	strcat(path, "/d");
	assert_int_equal(guest_ask(1, XS_MKDIR, 0, path, strlen(path) + 1), -XEN_EINVAL);
}

/* A directory too long for one message is read in parts, each a prefix of what is left. */
static void test_directory_part(void **state)
{
	char payload[64], seen[16384];
	size_t used = 0;
	int len = 0;

	for (unsigned i = 0; i < 400; i++) {
		len = snprintf(payload, sizeof(payload), "big/name-%04u-0123456789", i);
		assert_int_equal(guest_ask(1, XS_MKDIR, 0, payload, (size_t)len + 1), 3);
	}
	assert_int_equal(guest_ask(1, XS_DIRECTORY, 0, Z("big")), -XEN_E2BIG);
	for (unsigned part = 0; part < 8; part++) {
		size_t head;

		len = snprintf(payload, sizeof(payload), "big%c%zu", 0, used);
		len = guest_ask(1, XS_DIRECTORY_PART, 0, payload, (size_t)len + 1);
		assert_true(len > 0);
		head = strlen(guest_reply) + 1;
		memcpy(seen + used, guest_reply + head, (size_t)len - head);
		used += (size_t)len - head;
		if (used > 1 && !seen[used - 1] && !seen[used - 2])
			break;
	}
	assert_int_equal(used, 400 * 21 + 1);
	assert_string_equal(seen + 399 * 21, "name-0399-0123456789");
	/* Behind the end: nothing but the end. */
	len = guest_ask(1, XS_DIRECTORY_PART, 0,
			Z("big\0"
			  "99999"));
	assert_int_equal(len, strlen(guest_reply) + 2);
	assert_int_equal(guest_ask(1, XS_DIRECTORY_PART, 0, Z("big\0x")), -XEN_EINVAL);
}

/* ---- permissions ------------------------------------------------------------------------- */

static void test_own_home_only(void **state)
{
	assert_int_equal(guest_ask(1, XS_WRITE, 0, R("/x\0v")), -XEN_EACCES);
	assert_int_equal(guest_ask(1, XS_READ, 0, Z("/local/domain/2")), -XEN_EACCES);
	/* Whether a node exists is not told to those who may not look there. */
	assert_int_equal(guest_ask(1, XS_READ, 0, Z("/local/domain/2/none")), -XEN_EACCES);
	assert_int_equal(guest_ask(1, XS_MKDIR, 0, Z("/local/domain/2/x")), -XEN_EACCES);
	assert_int_equal(guest_ask(1, XS_RM, 0, Z("/local/domain/2")), -XEN_EACCES);
	assert_int_equal(guest_ask(1, XS_GET_PERMS, 0, Z("/local/domain/2")), -XEN_EACCES);
	assert_int_equal(guest_ask(1, XS_SET_PERMS, 0, Z("/local/domain/2\0n1")), -XEN_EACCES);
	assert_int_equal(guest_ask(1, XS_DIRECTORY, 0, Z("/")), -XEN_EACCES);
	assert_int_equal(ask(XS_DIRECTORY, 0, Z("/local/domain")), 4);
}

static void test_permission_letters(void **state)
{
	guest_ask(1, XS_WRITE, 0, R("d\0v"));
	assert_int_equal(guest_ask(1, XS_GET_PERMS, 0, Z("d")), 3);
	assert_string_equal(guest_reply, "n1");
	/* For everybody, by the first entry. */
	assert_int_equal(guest_ask(1, XS_SET_PERMS, 0, Z("d\0r1")), 3);
	assert_int_equal(guest_ask(2, XS_READ, 0, Z("/local/domain/1/d")), 1);
	assert_int_equal(guest_ask(2, XS_WRITE, 0, R("/local/domain/1/d\0w")), -XEN_EACCES);
	/* For one, which counts more than the default. */
	assert_int_equal(guest_ask(1, XS_SET_PERMS, 0, Z("d\0b1\0w2")), 3);
	assert_int_equal(guest_ask(2, XS_READ, 0, Z("/local/domain/1/d")), -XEN_EACCES);
	assert_int_equal(guest_ask(2, XS_WRITE, 0, R("/local/domain/1/d\0new")), 3);
	assert_int_equal(guest_ask(1, XS_READ, 0, Z("d")), 3);
	assert_int_equal(guest_ask(1, XS_GET_PERMS, 0, Z("d")), 6);
	assert_memory_equal(guest_reply, "b1\0w2", 6);
	/* Children take what the parent has, and belong to who makes them. */
	assert_int_equal(guest_ask(2, XS_MKDIR, 0, Z("/local/domain/1/d/e")), 3);
	assert_int_equal(ask(XS_GET_PERMS, 0, Z("/local/domain/1/d/e")), 6);
	assert_memory_equal(local_reply, "b2\0w2", 6);
	/* The privileged leave them to the parent's owner. */
	assert_int_equal(ask(XS_MKDIR, 0, Z("/local/domain/1/d/f")), 3);
	ask(XS_GET_PERMS, 0, Z("/local/domain/1/d/f"));
	assert_memory_equal(local_reply, "b1\0w2", 6);
}

static void test_owner_cannot_give_away(void **state)
{
	guest_ask(1, XS_WRITE, 0, R("d\0v"));
	assert_int_equal(guest_ask(1, XS_SET_PERMS, 0, Z("d\0n2")), -XEN_EPERM);
	assert_int_equal(guest_ask(1, XS_SET_PERMS, 0, Z("d\0n1\0b2")), 3);
	/* Who may write does not own. */
	assert_int_equal(guest_ask(2, XS_SET_PERMS, 0, Z("/local/domain/1/d\0n2")), -XEN_EACCES);
	assert_int_equal(ask(XS_SET_PERMS, 0, Z("/local/domain/1/d\0n2")), 3);
	assert_int_equal(guest_ask(1, XS_READ, 0, Z("d")), -XEN_EACCES);
	assert_int_equal(guest_ask(1, XS_SET_PERMS, 0, Z("e\0n1")), -XEN_ENOENT);
	assert_int_equal(guest_ask(1, XS_SET_PERMS, 0, Z("d\0x1")), -XEN_EINVAL);
	assert_int_equal(guest_ask(1, XS_SET_PERMS, 0, Z("d\0n99999")), -XEN_EINVAL);
	assert_int_equal(
	    ask(XS_SET_PERMS, 0, Z("/local/domain/1/d\0n1\0r2\0r3\0r4\0r5\0r6\0r7\0r8\0r9")),
	    -XEN_ENOSPC);
}

static void test_target(void **state)
{
	guest_ask(1, XS_WRITE, 0, R("d\0v"));
	assert_int_equal(guest_ask(2, XS_SET_TARGET, 0,
				   Z("2\0"
				     "1")),
			 -XEN_EACCES);
	assert_int_equal(ask(XS_SET_TARGET, 0,
			     Z("2\0"
			       "5")),
			 -XEN_ENOENT);
	assert_int_equal(ask(XS_SET_TARGET, 0,
			     Z("2\0"
			       "1")),
			 3);
	assert_int_equal(guest_ask(2, XS_READ, 0, Z("/local/domain/1/d")), 1);
	assert_int_equal(xs_server_release(1), 0);
	make_home(1); /* another domain of that number */
	assert_int_equal(guest_ask(2, XS_READ, 0, Z("/local/domain/1")), -XEN_EACCES);
}

/* ---- watches ----------------------------------------------------------------------------- */

static void test_watch_events(void **state)
{
	assert_int_equal(guest_ask(1, XS_WATCH, 0, Z("data\0tok")), 3);
	assert_string_equal(guest_events(1), "data|tok\n"); /* once at first */
	guest_ask(1, XS_WRITE, 0, R("data/a\0v"));
	assert_string_equal(guest_events(1), "data/a|tok\n");
	guest_ask(1, XS_WRITE, 0, R("data2\0v"));
	assert_string_equal(guest_events(1), "");
	/* Others' changes too, by the path as this domain knows it. */
	ask(XS_WRITE, 0, R("/local/domain/1/data/b\0v"));
	assert_string_equal(guest_events(1), "data/b|tok\n");
	guest_ask(1, XS_SET_PERMS, 0, Z("data\0r1"));
	assert_string_equal(guest_events(1), "data|tok\n");
	guest_ask(1, XS_MKDIR, 0, Z("data/a")); /* changes nothing */
	assert_string_equal(guest_events(1), "");
	guest_ask(1, XS_RM, 0, Z("data"));
	assert_string_equal(guest_events(1), "data|tok\n");
	assert_int_equal(guest_ask(1, XS_UNWATCH, 0, Z("data\0tok")), 3);
	guest_ask(1, XS_WRITE, 0, R("data\0v"));
	assert_string_equal(guest_events(1), "");
	assert_int_equal(guest_ask(1, XS_UNWATCH, 0, Z("data\0tok")), -XEN_ENOENT);
}

static void test_watch_kinds(void **state)
{
	assert_int_equal(guest_ask(1, XS_WATCH, 0, Z("/local/domain/1/d\0abs")), 3);
	assert_int_equal(guest_ask(1, XS_WATCH, 0, Z("d\0rel")), 3);
	assert_int_equal(guest_ask(1, XS_WATCH, 0, Z("d\0rel")), -XEN_EEXIST);
	assert_string_equal(guest_events(1), "/local/domain/1/d|abs\nd|rel\n");
	guest_ask(1, XS_WRITE, 0, R("d/x\0v"));
	assert_string_equal(guest_events(1), "/local/domain/1/d/x|abs\nd/x|rel\n");
	/* A watch below what is removed is told by its own path. */
	guest_ask(1, XS_WATCH, 0, Z("d/x/deep\0low"));
	guest_ask(1, XS_WATCH, 0, Z("d/none\0no"));
	guest_ask(1, XS_WRITE, 0, R("d/x/deep\0v"));
	guest_events(1);
	guest_ask(1, XS_RM, 0, Z("d"));
	assert_string_equal(guest_events(1), "/local/domain/1/d|abs\nd|rel\nd/x/deep|low\n");
	assert_int_equal(guest_ask(1, XS_RESET_WATCHES, 0, Z("")), 3);
	guest_ask(1, XS_WRITE, 0, R("d/x\0v"));
	assert_string_equal(guest_events(1), "");
	/* The longest token fits; a longer one does not. */
	char payload[1200] = "d";

	memset(payload + 2, 't', XS_TOKEN_MAX - 1);
	assert_int_equal(guest_ask(1, XS_WATCH, 0, payload, 2 + XS_TOKEN_MAX), 3);
	memset(payload + 2, 't', XS_TOKEN_MAX);
	assert_int_equal(guest_ask(1, XS_WATCH, 0, payload, 3 + XS_TOKEN_MAX), -XEN_EINVAL);
}

/* A watch tells nothing that its owner could not read. */
static void test_watch_permissions(void **state)
{
	assert_int_equal(guest_ask(1, XS_WATCH, 0, Z("/local/domain/2\0spy")), 3);
	guest_events(1);
	guest_ask(2, XS_WRITE, 0, R("secret\0v"));
	guest_ask(2, XS_RM, 0, Z("secret"));
	assert_string_equal(guest_events(1), "");
	guest_ask(2, XS_WRITE, 0, R("open\0v"));
	guest_ask(2, XS_SET_PERMS, 0, Z("open\0n2\0r1"));
	assert_string_equal(guest_events(1), "/local/domain/2/open|spy\n");
	guest_ask(2, XS_RM, 0, Z("open"));
	assert_string_equal(guest_events(1), "/local/domain/2/open|spy\n");
}

static void test_special_watches(void **state)
{
	assert_int_equal(ask(XS_WATCH, 0, Z("@introduceDomain\0i")), 3);
	assert_int_equal(ask(XS_WATCH, 0, Z("@releaseDomain\0r")), 3);
	assert_int_equal(ask(XS_WATCH, 0, Z("@other\0r")), -XEN_EINVAL);
	assert_string_equal(local_told(), "@introduceDomain|i\n@releaseDomain|r\n");
	assert_int_equal(guest_ask(1, XS_WATCH, 0, Z("@releaseDomain\0g")), 3);
	guest_events(1);
	assert_int_equal(xs_server_introduce(3, STORE_PORT), 0);
	assert_string_equal(local_told(), "@introduceDomain|i\n");
	xs_server_domain_died(3);
	assert_string_equal(local_told(), "@releaseDomain|r\n");
	assert_int_equal(xs_server_release(3), 0);
	assert_string_equal(local_told(), "@releaseDomain|r\n");
	/* A guest hears of it only when it was given the right. */
	assert_string_equal(guest_events(1), "");
	assert_int_equal(guest_ask(1, XS_SET_PERMS, 0, Z("@releaseDomain\0r1")), -XEN_EACCES);
	assert_int_equal(guest_ask(1, XS_GET_PERMS, 0, Z("@releaseDomain")), -XEN_EACCES);
	assert_int_equal(ask(XS_SET_PERMS, 0, Z("@releaseDomain\0n0\0r1")), 3);
	assert_int_equal(guest_ask(1, XS_GET_PERMS, 0, Z("@releaseDomain")), 6);
	xs_server_domain_died(2);
	assert_string_equal(guest_events(1), "@releaseDomain|g\n");
	assert_int_equal(ask(XS_UNWATCH, 0, Z("@releaseDomain\0r")), 3);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)
	const struct CMUnitTest tests[] = {
	    T(test_write_read),
	    T(test_directory),
	    T(test_remove),
	    T(test_bad_payloads),
	    T(test_deep_paths),
	    T(test_directory_part),
	    T(test_own_home_only),
	    T(test_permission_letters),
	    T(test_owner_cannot_give_away),
	    T(test_target),
	    T(test_watch_events),
	    T(test_watch_kinds),
	    T(test_watch_permissions),
	    T(test_special_watches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

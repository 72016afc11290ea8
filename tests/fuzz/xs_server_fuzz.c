/* xs_server_fuzz.c: two guests and the server's own link do anything at all to the store.
 *
 * Input is a script: raw bytes and indices into a guest's ring, well-formed requests over a small
 * set of paths (so that they meet), allocations that fail, domains that come and go. Shows that no
 * script reads or writes out of bounds, that accounts always agree with the tree, that bounds on
 * what waits hold, and that all memory is back at the end. Called by libFuzzer.
 *
 * links: tests/host/store_host.c drivers-back/xs_server.c drivers-back/xs_server_account.c
 * links: drivers-back/xs_server_change.c drivers-back/xs_server_conn.c drivers-back/xs_server_ops.c
 * links: drivers-back/xs_server_ring.c drivers-back/xs_server_tree.c drivers-back/xs_server_tx.c
 * links: drivers-back/xs_server_watch.c protocol/xs_wire.c protocol/xs_path.c
 * links: protocol/xs_perms.c protocol/xs_ring.c lib/printf.c
 */
#include <stdio.h>
#include <string.h>

#include "drivers-back/xs_server_impl.h"
#include "tests/host/store_host.h"

#define CHECK(cond) ((cond) ? (void)0 : host_bug(#cond, __FILE__, __LINE__))

struct script {
	const uint8_t *at;
	size_t left;
};

static unsigned next(struct script *s)
{
	if (!s->left)
		return 0;
	s->left--;
	return *s->at++;
}

static const struct xs_quota quota = {
    .nodes = 20,
    .bytes = 8192,
    .watches = 4,
    .transactions = 3,
    .tx_bytes = 2048,
    .value_bytes = 512,
    .event_bytes = 512,
};

/* Texts that requests are made of; the last ones are no paths. */
static const char *const texts[] = {
    "a",
    "a/b",
    "a/b/c",
    "d",
    "/local/domain/1",
    "/local/domain/1/a",
    "/",
    "T",
    "F",
    "n1",
    "n2",
    "b1",
    "r2",
    "0",
    "/local/domain/2",
    "@releaseDomain",
    "1",
    "",
    "2",
    "w0",
    "/open/x",
    "/open",
    "bad path",
    "4294967295",
    "/local/domain/2/a",
};

static uint32_t make_request(struct script *s, char *message)
{
	static const uint8_t types[] = {
	    XS_READ,
	    XS_WRITE,
	    XS_MKDIR,
	    XS_RM,
	    XS_DIRECTORY,
	    XS_GET_PERMS,
	    XS_WATCH,
	    XS_UNWATCH,
	    XS_SET_PERMS,
	    XS_TRANSACTION_START,
	    XS_TRANSACTION_END,
	    XS_DIRECTORY_PART,
	    XS_RESET_WATCHES,
	    XS_GET_DOMAIN_PATH,
	    XS_INTRODUCE,
	    XS_RELEASE,
	    XS_IS_DOMAIN_INTRODUCED,
	    XS_SET_TARGET,
	    XS_RESUME,
	    XS_CONTROL,
	};
	unsigned type = next(s), shape = next(s);
	struct xsd_sockmsg head = {type < 200 ? types[type % ARRAY_SIZE(types)] : type, 1,
				   shape >> 6, 0};

	for (unsigned i = 0; i <= (shape & 3); i++) {
		const char *text = texts[next(s) % ARRAY_SIZE(texts)];
		size_t len = strlen(text) + (i < (shape & 3) || !(shape & 4));

		memcpy(message + sizeof(head) + head.len, text, len);
		head.len += (uint32_t)len;
	}
	memcpy(message, &head, sizeof(head));
	return (uint32_t)sizeof(head) + head.len;
}

static void put_raw(struct script *s, domid_t domid)
{
	size_t len = next(s);

	len = len < s->left ? len : s->left;
	guest_put(domid, s->at, len);
	s->at += len;
	s->left -= len;
}

static void write_index(struct script *s, domid_t domid)
{
	struct xenstore_domain_interface *page = guest_store_page(domid);
	uint32_t *fields[] = {&page->req_cons, &page->req_prod,   &page->rsp_cons,
			      &page->rsp_prod, &page->connection, &page->error};

	*fields[next(s) % ARRAY_SIZE(fields)] = next(s) | next(s) << 8;
}

static void come_and_go(domid_t domid)
{
	if (xs_server_is_introduced(domid))
		xs_server_release(domid);
	else
		xs_server_introduce(domid, STORE_PORT);
}

static void ask_locally(struct script *s)
{
	char message[512], ignored[256];
	uint32_t len = make_request(s, message);

	while (xs_local_recv(ignored, sizeof(ignored)) > 0)
		;
	CHECK(xs_local_send(message, len) == (int)len);
	while (xs_local_recv(ignored, sizeof(ignored)) > 0)
		;
}

static void drain(domid_t domid)
{
	char ignored[2048];

	xs_ring_take(guest_store_page(domid), XS_SIDE_CLIENT, ignored, sizeof(ignored));
}

static void step(struct script *s)
{
	unsigned what = next(s);
	domid_t domid = (domid_t)(1 + (what & 1));
	char message[512];

	switch (what >> 1 & 7) {
	case 0:
		put_raw(s, domid);
		break;
	case 1:
	case 2:
		guest_put(domid, message, make_request(s, message));
		break;
	case 3:
		drain(domid);
		break;
	case 4:
		if (what > 192)
			write_index(s, domid);
		break;
	case 5:
		if (what > 128)
			come_and_go(domid);
		break;
	case 6:
		ask_locally(s);
		break;
	case 7:
		host_fail_alloc(what >> 4, false);
		break;
	}
	guest_kick(domid, STORE_PORT);
	CHECK(host_run());
}

static void check_invariants(void)
{
	const struct xs_node *node;
	static struct xs_walk walk;
	unsigned nodes = 0, bytes = 0, said;
	size_t said_bytes;

	xs_walk_begin(&walk, xs.tree.root);
	while ((node = xs_walk_next(&walk))) {
		nodes++;
		bytes += xs_node_bytes(node);
		CHECK(node->refs > 0 && node->perms.count >= 1);
	}
	xs_tree_total(&xs.tree, &said, &said_bytes);
	CHECK(said == nodes && said_bytes == bytes);
	for (const struct xs_conn *c = xs.conns; c; c = c->next) {
		CHECK(c->privileged || c->n_watches <= quota.watches);
		CHECK(c->privileged || c->n_transactions <= quota.transactions);
		CHECK(c->privileged || c->tx_bytes <= quota.tx_bytes);
		CHECK(c->event_bytes <= quota.event_bytes + XENSTORE_PAYLOAD_MAX);
	}
}

static void set_up(void)
{
	static const char open[] = "/open\0b0", home1[] = "/local/domain/1\0n1",
			  home2[] = "/local/domain/2\0n2";
	static const struct {
		const char *bytes;
		uint32_t len;
	} perms[] = {{open, sizeof(open)}, {home1, sizeof(home1)}, {home2, sizeof(home2)}};
	char ignored[64];

	CHECK(!xs_server_init(0, &quota));
	for (unsigned i = 0; i < ARRAY_SIZE(perms); i++) {
		uint32_t path_len = (uint32_t)strlen(perms[i].bytes) + 1;
		struct xsd_sockmsg mkdir = {XS_MKDIR, 0, 0, path_len};
		struct xsd_sockmsg set = {XS_SET_PERMS, 0, 0, perms[i].len};

		xs_local_send(&mkdir, sizeof(mkdir));
		xs_local_send(perms[i].bytes, path_len);
		xs_local_recv(ignored, sizeof(ignored));
		xs_local_send(&set, sizeof(set));
		xs_local_send(perms[i].bytes, perms[i].len);
		xs_local_recv(ignored, sizeof(ignored));
	}
	come_and_go(1);
	come_and_go(2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script = {data, size < 600 ? size : 600};

	host_reset();
	set_up();
	while (script.left) {
		step(&script);
		check_invariants();
	}
	host_fail_alloc(0, false);
	xs_server_stop();
	CHECK(host_bytes_held() == 0);
	return 0;
}

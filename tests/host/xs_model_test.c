/* xs_model_test.c: the store against a model of it that is too simple to be wrong.
 *
 * The model is an array of paths with values; a transaction of it is a copy of the array and the
 * list of what was asked. Thousands of random requests, in and out of two transactions that
 * overlap, are made to both. Shows that every answer is the model's, and that a transaction that
 * commits gave each of its answers as if it had run alone at its end. Why: trees that share nodes
 * are easy to get wrong in ways that no single case shows. Expected: no difference for any seed.
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

#define NODES    256
#define LOG_MAX  64
#define PATH_LEN 32

struct model {
	unsigned count;
	struct {
		char path[PATH_LEN], value[8];
	} node[NODES];
};

/* A request and what was answered. */
struct record {
	uint32_t type;
	char path[PATH_LEN], value[8];
	int status;
	char reply[512];
};

struct open_tx {
	uint32_t id; /* 0: not open */
	struct model view;
	unsigned count;
	struct record log[LOG_MAX];
};

/* ---- the model --------------------------------------------------------------------------- */

static int find(const struct model *m, const char *path)
{
	for (unsigned i = 0; i < m->count; i++)
		if (!strcmp(m->node[i].path, path))
			return (int)i;
	return -1;
}

static void add(struct model *m, const char *path)
{
	char parent[PATH_LEN];

	if (!*path || find(m, path) >= 0)
		return;
	snprintf(parent, sizeof(parent), "%s", path);
	*strrchr(parent, '/') = 0;
	add(m, parent);
	assert_true(m->count < NODES);
	memset(&m->node[m->count], 0, sizeof(m->node[0]));
	strcpy(m->node[m->count++].path, path);
}

static void drop(struct model *m, const char *path)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < m->count; i++)
		if (!xs_path_covers(path, m->node[i].path))
			m->node[kept++] = m->node[i];
	m->count = kept;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The names right below path, sorted, as the protocol gives them. */
static int names_below(const struct model *m, const char *path, char *out)
{
	char names[NODES][PATH_LEN];
	size_t len = strlen(path), used = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < m->count; i++) {
		const char *p = m->node[i].path;

		if (!strncmp(p, path, len) && p[len] == '/' && !strchr(p + len + 1, '/'))
			strcpy(names[n++], p + len + 1);
	}
	qsort(names, n, PATH_LEN, by_name);
	for (unsigned i = 0; i < n; i++) {
		strcpy(out + used, names[i]);
		used += strlen(names[i]) + 1;
	}
	return (int)used;
}

static int remove_in(struct model *m, const char *path)
{
	char parent[PATH_LEN];

	snprintf(parent, sizeof(parent), "%s", path);
	*strrchr(parent, '/') = 0;
	if (find(m, path) < 0)
		return !*parent || find(m, parent) >= 0 ? 3 : -XEN_ENOENT;
	drop(m, path);
	return 3;
}

/* Does what r asks to the model and notes the answer in r. */
static void model_do(struct model *m, struct record *r)
{
	int at = find(m, r->path);

	memset(r->reply, 0, sizeof(r->reply));
	r->status = 3;
	switch (r->type) {
	case XS_READ:
		r->status = at < 0 ? -XEN_ENOENT : (int)strlen(m->node[at].value);
		if (at >= 0)
			strcpy(r->reply, m->node[at].value);
		break;
	case XS_DIRECTORY:
		r->status = at < 0 ? -XEN_ENOENT : names_below(m, r->path, r->reply);
		break;
	case XS_WRITE:
		add(m, r->path);
		strcpy(m->node[find(m, r->path)].value, r->value);
		break;
	case XS_MKDIR:
		add(m, r->path);
		break;
	case XS_RM:
		r->status = remove_in(m, r->path);
		break;
	}
}

/* ---- both -------------------------------------------------------------------------------- */

static void make_random(struct record *r)
{
	static const uint32_t types[] = {XS_READ,  XS_READ,  XS_DIRECTORY, XS_WRITE,
					 XS_WRITE, XS_MKDIR, XS_RM};
	unsigned depth = 1 + (unsigned)rand() % 3;

	r->type = types[(unsigned)rand() % ARRAY_SIZE(types)];
	r->path[0] = 0;
	for (unsigned i = 0; i < depth; i++)
		sprintf(r->path + strlen(r->path), "/%c", 'a' + rand() % 4);
	snprintf(r->value, sizeof(r->value), "%d", rand() % 1000);
}

/* The same request to the server: its answer must be that of the record. */
static void server_does(uint32_t tx, const struct record *r)
{
	char payload[64];
	size_t len = strlen(r->path) + 1;
	int status;

	memcpy(payload, r->path, len);
	if (r->type == XS_WRITE) {
		memcpy(payload + len, r->value, strlen(r->value));
		len += strlen(r->value);
	}
	status = ask(r->type, tx, payload, len);
	assert_int_equal(status, r->status);
	if (status > 0 && r->status != 3)
		assert_memory_equal(local_reply, r->reply, (size_t)status);
}

static void step_in_tx(struct open_tx *t)
{
	struct record *r = &t->log[t->count++];

	make_random(r);
	model_do(&t->view, r);
	server_does(t->id, r);
}

/* Whether the transaction's requests, made on the model of now, get the answers they got. */
static bool would_answer_the_same(const struct open_tx *t, struct model *now)
{
	for (unsigned i = 0; i < t->count; i++) {
		struct record again = t->log[i];

		model_do(now, &again);
		if (again.status != t->log[i].status ||
		    memcmp(again.reply, t->log[i].reply, sizeof(again.reply)))
			return false;
	}
	return true;
}

static bool end_tx(struct open_tx *t, struct model *store)
{
	struct model after = *store;
	int status = ask(XS_TRANSACTION_END, t->id, Z("T"));

	t->id = 0;
	if (status == -XEN_EAGAIN)
		return false;
	assert_int_equal(status, 3);
	assert_true(would_answer_the_same(t, &after));
	*store = after;
	return true;
}

static unsigned commits, conflicts;

static void run(unsigned seed)
{
	static struct open_tx tx[2];
	static struct model store;
	struct xs_counters count;
	struct record r;

	srand(seed);
	memset(&store, 0, sizeof(store));
	memset(tx, 0, sizeof(tx));
	for (unsigned i = 0; i < 1500; i++) {
		struct open_tx *t = &tx[rand() % 2];

		if (rand() % 4 == 0) {
			make_random(&r);
			model_do(&store, &r);
			server_does(0, &r);
		} else if (!t->id) {
			*t = (struct open_tx){.id = begin(0), .view = store};
		} else if (t->count < LOG_MAX && rand() % 6) {
			step_in_tx(t);
		} else {
			*(end_tx(t, &store) ? &commits : &conflicts) += 1;
		}
	}
	for (unsigned i = 0; i < 2; i++)
		if (tx[i].id)
			end_tx(&tx[i], &store);
	xs_server_count(&count);
	assert_int_equal(count.nodes, store.count + 1);
	for (char c = 'a'; c < 'e'; c++) {
		r = (struct record){.type = XS_RM, .path = {'/', c}};
		model_do(&store, &r);
		server_does(0, &r);
	}
	xs_server_count(&count);
	assert_int_equal(count.nodes, 1);
}

static int setup(void **state)
{
	host_reset();
	return xs_server_init(0, NULL);
}

static void test_store_is_the_model(void **state)
{
	for (unsigned seed = 1; seed <= 40; seed++)
		run(seed);
	/* Neither answer is given out of caution or out of luck only. */
	assert_true(commits > 500 && conflicts > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_store_is_the_model, setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

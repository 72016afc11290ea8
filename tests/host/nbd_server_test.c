/* nbd_server_test: a disk of an NBD server, with real servers: nbdkit and qemu-nbd, on this machine's loopback.
 *
 * Why: what nbd_test's script says is what we think that servers say. Expected: sizes and features as they tell, a thousand
 * random reads, writes, flushes and discards against a model, over one connection and over four; a server that is killed and
 * started again under them loses nothing (its disk is a file), and no request fails.
 * links: drivers-native/nbd.c drivers-native/nbd_conn.c drivers-native/nbd_io.c drivers-native/disk_error.c
 * links: tests/host/nbd_world.c tests/host/host_tcp_sockets.c lib/text.c lib/printf.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <amphi/host.h>

#include "host_tcp_sockets.h"
#include "nbd_world.h"

#define SIZE    (8u << 20)
#define DEPTH   24u
#define UNIT    4096u
#define SLOTS_N (SIZE / UNIT)

static char dir[] = "/tmp/amphi-nbd.XXXXXX", file[64], port_text[8];
static unsigned port;
static pid_t server;
static struct block_device *disk;

/* ---- servers --------------------------------------------------------------------------------------- */

static void start(const char *const *argv)
{
	unsigned i;

	server = fork();
	assert_true(server >= 0);
	if (!server) {
		(void)freopen("/dev/null", "w", stderr);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	for (i = 0; i < 6000 && !sockets_listens(port); i++)
		usleep(10000);
	assert_true(sockets_listens(port));
}

static void stop(void)
{
	if (server <= 0)
		return;
	(void)kill(server, SIGKILL);
	(void)waitpid(server, NULL, 0);
	server = 0;
}

static const char *const nbdkit[] = {"nbdkit",  "-f",   "-i", "127.0.0.1", "-p",
				     port_text, "file", file, NULL};
static const char *const qemu[] = {"qemu-nbd",        "-t", "-b",     "127.0.0.1", "-p",
				   port_text,         "-e", "8",      "-f",        "raw",
				   "--discard=unmap", "-x", "export", file,        NULL};

static void pass(void)
{
	sockets_poll(1);
	world_advance(1);
}

static void connect_to(const char *const *argv)
{
	char uri[64];
	unsigned i;

	start(argv);
	(void)snprintf(uri, sizeof(uri), "nbd://127.0.0.1:%u/export", port);
	disk = nbd_find(uri);
	for (i = 0; i < 5000 && disk->coming; i++)
		pass();
	assert_false(disk->coming);
}

/* A port for each test: one that was left is not free at once. */
static int setup(void **state)
{
	FILE *f = fopen(file, "w");

	(void)state;
	assert_non_null(f);
	assert_int_equal(ftruncate(fileno(f), SIZE), 0);
	(void)fclose(f);
	port++;
	(void)snprintf(port_text, sizeof(port_text), "%u", port);
	world_reset();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nbd_exit();
	stop();
	return 0;
}

/* ---- a load with a model ------------------------------------------------------------------------------ */

static uint32_t model[SLOTS_N]; /* the number written to each unit; 0: none */
static struct world_request *flight[DEPTH];
static uint32_t expected[DEPTH][16]; /* of reads */
static uint32_t number;
static unsigned seed;

static bool is_busy(uint32_t unit, uint32_t n)
{
	unsigned i;

	for (i = 0; i < DEPTH; i++) {
		uint32_t at, len;

		if (!flight[i] || flight[i]->req.op == BLOCK_FLUSH)
			continue;
		at = (uint32_t)(flight[i]->req.sector * 512 / UNIT);
		len = (uint32_t)(flight[i]->req.n_sectors * 512 / UNIT);
		if (unit < at + len && at < unit + n)
			return true;
	}
	return false;
}

static unsigned random_below(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % n;
}

/* Requests that are on the way together touch different units, so the model knows what a read finds. A discard ends as zeros or as what
 * was there: its units are written anew before they are read. */
static void begin(unsigned i)
{
	uint32_t n = 1 + random_below(16), unit = random_below(SLOTS_N - 16), u;
	unsigned what = random_below(20);
	enum block_op op = what < 9 ? BLOCK_READ : what < 19 ? BLOCK_WRITE : BLOCK_FLUSH;
	struct world_request *r;

	if (is_busy(unit, n))
		return;
	r = world_request(op, (uint64_t)unit * UNIT / 512, n * UNIT, random_below(7) * 512);
	for (u = 0; u < n && op != BLOCK_FLUSH; u++) {
		if (op == BLOCK_WRITE) {
			uint32_t *words = (uint32_t *)(r->memory + u * UNIT);

			model[unit + u] = ++number;
			for (unsigned w = 0; w < UNIT / 4; w++)
				words[w] = number;
		}
		expected[i][u] = model[unit + u];
	}
	flight[i] = r;
	world_submit(disk, r);
}

static void end(unsigned i)
{
	struct world_request *r = flight[i];
	uint32_t n = (uint32_t)(r->req.n_sectors * 512 / UNIT);

	assert_int_equal(r->status, 0);
	for (uint32_t u = 0; u < n && r->req.op == BLOCK_READ; u++) {
		const uint32_t *words = (const uint32_t *)(r->memory + u * UNIT);

		for (unsigned w = 0; w < UNIT / 4; w++)
			assert_int_equal(words[w], expected[i][u]);
	}
	world_free(r);
	flight[i] = NULL;
}

/* A server that is to die is stopped first: what is sent to it meanwhile cannot have been answered, however fast it is. */
static void load(unsigned total, const char *const *killed)
{
	unsigned begun = 0, ended = 0, i, rounds = 0, stopped = 0, next_death = total / 6;

	memset(model, 0, sizeof(model));
	while (ended < total) {
		if (killed && !stopped && ended >= next_death) {
			(void)kill(server, SIGSTOP);
			next_death += total / 6;
			stopped = 3;
		}
		for (i = 0; i < DEPTH; i++) {
			if (!flight[i] && begun < total) {
				begin(i);
				begun += flight[i] != NULL;
			}
			if (flight[i] && flight[i]->ended) {
				end(i);
				ended++;
			}
		}
		pass();
		if (stopped && !--stopped) {
			stop();
			for (i = 0; i < 5; i++)
				pass();
			start(killed);
		}
		assert_true(++rounds < 60000);
	}
}

/* ---- tests ------------------------------------------------------------------------------------------------ */

static void test_nbdkit(void **state)
{
	(void)state;
	connect_to(nbdkit);
	assert_int_equal(disk->sectors, SIZE / 512);
	assert_true(disk->has_flush && disk->has_fua && disk->has_discard);
	load(1000, NULL);
	assert_int_equal(nbd_stats(disk)->connections, NBD_CONNECTIONS);
	assert_int_equal(nbd_stats(disk)->replayed, 0);
}

static void test_qemu_nbd(void **state)
{
	(void)state;
	connect_to(qemu);
	assert_int_equal(disk->sectors, SIZE / 512);
	assert_true(disk->has_flush && disk->has_fua && disk->has_discard);
	load(1000, NULL);
}

static void test_discard_frees(void **state)
{
	struct world_request *w = world_request(BLOCK_WRITE, 0, 1 << 20, 0);
	struct world_request *d = world_request(BLOCK_DISCARD, 0, 1 << 20, 0);
	struct world_request *r = world_request(BLOCK_READ, 0, 4096, 0);

	(void)state;
	connect_to(qemu);
	memset(w->memory, 0x5a, 1 << 20);
	world_submit(disk, w);
	while (!w->ended)
		pass();
	world_submit(disk, d);
	while (!d->ended)
		pass();
	assert_int_equal(d->status, 0);
	world_submit(disk, r);
	while (!r->ended)
		pass();
	assert_int_equal(r->memory[0] | r->memory[4095], 0);
	world_free(w), world_free(d), world_free(r);
}

static void test_server_dies(void **state)
{
	(void)state;
	connect_to(nbdkit);
	load(600, nbdkit);
	assert_true(nbd_stats(disk)->replayed > 0);
	assert_true(nbd_stats(disk)->reconnects > 0);
	assert_int_equal(disk->stats.errors, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_nbdkit),
	    TEST(test_qemu_nbd),
	    TEST(test_discard_frees),
	    TEST(test_server_dies),
	};
	int failed;

	if (!mkdtemp(dir))
		return 1;
	(void)snprintf(file, sizeof(file), "%s/disk", dir);
	port = 18000 + (unsigned)getpid() % 1990; /* tests of machines have those above */
	seed = 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(file);
	(void)rmdir(dir);
	return failed;
}

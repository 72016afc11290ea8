/* console_input.c: keys from the sink to whoever has them.
 *
 * Callers: the sink's interrupt (console_input_ready), the shell, the console switch of the
 * service domain. Bytes wait in one of two small rings: the shell's, or the taker's, which the
 * worker empties. A full ring drops what comes; nobody types that fast.
 */
#include "console_input.h"
#include "thread.h"
#include "worker.h"

#define CTRL_C     3u
#define RING_BYTES 256u /* a power of two: the indices run freely */

struct ring {
	uint8_t bytes[RING_BYTES];
	unsigned in, out;
};

/*   sink's interrupt --> console_input_ready --> shell_ring --> shell's thread
 *                                          '--> taker_ring --> worker --> taker --(service in focus)-->
 *                                                             console_feed_shell --> shell_ring
 */
static const struct console_sink *source;
static struct ring shell_ring, taker_ring;
static struct wait_queue shell_wait;
static console_input_fn *taker;
static void *taker_ctx;
static void (*on_ctrl_c)(void);

static void give_taker(void *ctx);
static struct host_work taker_work = {.fn = give_taker};

/* Interrupts off, or in one. */
static void ring_put(struct ring *r, uint8_t byte)
{
	if (r->in - r->out < RING_BYTES)
		r->bytes[r->in++ % RING_BYTES] = byte;
}

static void put_shell(uint8_t byte)
{
	if (byte == CTRL_C && on_ctrl_c)
		on_ctrl_c();
	else
		ring_put(&shell_ring, byte);
}

/* Interrupts off only for the byte: who gets it may take its time. */
static bool ring_get(struct ring *r, uint8_t *out_byte)
{
	unsigned long flags = wait_enter();
	bool any = r->in != r->out;

	if (any)
		*out_byte = r->bytes[r->out++ % RING_BYTES];
	wait_leave(flags);
	return any;
}

/* A taker is another room's code, so it runs in the worker and not in the interrupt. */
static void give_taker(void *ctx)
{
	uint8_t byte;

	while (ring_get(&taker_ring, &byte))
		if (taker)
			taker(taker_ctx, byte);
}

void console_feed_shell(uint8_t byte)
{
	unsigned long flags = wait_enter();

	put_shell(byte);
	wait_wake(&shell_wait);
	wait_leave(flags);
}

/* Empties the sink: a sink whose interrupt comes once for several bytes would keep the rest. The
 * lock also keeps a call from a thread (at listen) and one from the interrupt apart. */
void console_input_ready(void)
{
	unsigned long flags = wait_enter();
	uint8_t bytes[32];
	size_t n, i;

	while (source && (n = source->read(bytes, sizeof(bytes))) > 0) {
		for (i = 0; i < n; i++)
			taker ? ring_put(&taker_ring, bytes[i]) : put_shell(bytes[i]);
		if (taker)
			worker_post(&taker_work);
		else
			wait_wake(&shell_wait);
	}
	wait_leave(flags);
}

void console_input_init(const struct console_sink *sink)
{
	source = sink;
}

/* Bytes already in the shell's ring stay the shell's. */
void console_take_input(console_input_fn *fn, void *ctx)
{
	unsigned long flags = wait_enter();

	taker = fn;
	taker_ctx = ctx;
	wait_leave(flags);
}

void console_on_ctrl_c(void (*fn)(void))
{
	on_ctrl_c = fn;
}

uint8_t console_read_byte(void)
{
	uint8_t byte = 0;

	WAIT_UNTIL(&shell_wait, ring_get(&shell_ring, &byte));
	return byte;
}

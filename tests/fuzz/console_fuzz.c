/* console_fuzz.c: both ends of the console ring while the other writes anything into the page.
 *
 * Input is a script of writes to the shared page, kicks, input typed and time passing. Shows that
 * neither end reads or writes out of bounds whatever the page holds, that lines given never exceed
 * their limit, and that all memory is back. Why: the page belongs to the other side. Called by
 * libFuzzer.
 *
 * links: tests/host/store_host.c drivers-back/consback.c drivers-front/consfront.c
 * links: protocol/xs_wire.c protocol/xs_ring.c
 */
#include <string.h>

#include <amphi/consback.h>
#include <amphi/consfront.h>

#include "tests/host/store_host.h"

#define CHECK(cond) ((cond) ? (void)0 : host_bug(#cond, __FILE__, __LINE__))

static void on_line(void *ctx, const char *text, size_t len)
{
	CHECK(len <= CONSBACK_LINE_MAX && !text[len]);
}

static void on_raw(void *ctx, const char *bytes, size_t len)
{
	static char copy[4096];

	CHECK(len <= sizeof(copy));
	memcpy(copy, bytes, len); /* ASan sees that all of it may be read */
}

static void front_notify(void *ctx)
{
	guest_kick(1, CONSOLE_PORT);
}

static void relax(void *ctx)
{
	host_run();
}

static void write_index(struct xencons_interface *page, uint8_t which, uint8_t value)
{
	uint32_t *fields[] = {&page->in_cons, &page->in_prod, &page->out_cons, &page->out_prod};

	/* Mostly near what is there, so that it is sometimes possible. */
	if (which & 64)
		*fields[which & 3] = (uint32_t)value << (which >> 2 & 15);
	else
		*fields[which & 3] += (uint32_t)value << (which >> 2 & 7);
}

static void step(struct consfront *front, struct consback *back, const uint8_t *op)
{
	static const char text[300] = "a line\nand another\n\npart of a third";
	char got[200];

	switch (op[0] % 7) {
	case 0:
		write_index(guest_console_page(1), op[1], op[2]);
		break;
	case 1:
		CHECK(consfront_write(front, text, op[1]) <= op[1]);
		break;
	case 2:
		CHECK(consfront_write_text(front, text, op[1], relax, op[2] % 8) <= op[1]);
		break;
	case 3:
		CHECK(consfront_read(front, got, op[1] % sizeof(got)) <= sizeof(got));
		break;
	case 4:
		CHECK(consback_input(back, text, op[1]) <= op[1]);
		break;
	case 5:
		host_advance_ns((uint64_t)op[1] << 20);
		guest_kick(1, CONSOLE_PORT);
		break;
	case 6:
		if (op[1] == 1) /* the guest begins anew with the page as it is */
			consfront_init(front, guest_console_page(1), front_notify, NULL);
		break;
	}
	CHECK(host_run());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct consback_sink sink = {.line = on_line, .raw = on_raw};
	struct consfront front;
	struct consback *back;

	host_reset();
	consfront_init(&front, guest_console_page(1), front_notify, NULL);
	CHECK(!consback_attach(1, CONSOLE_PORT, &sink, &back));
	for (size_t i = 0; i + 3 <= size && i < 900; i += 3)
		step(&front, back, data + i);
	consback_detach(back);
	CHECK(host_bytes_held() == 0);
	return 0;
}

/* restore_fuzz.c: any bytes as a saved domain, and a good one spoiled anywhere.
 *
 * Why: a stream is a file from anywhere, read by the service domain. The first byte says whether the rest
 * is a stream or a list of changes to the one of saved_guest.c, the second in how large parts it is pushed.
 * Expected: no sanitizer report; the fake hypervisor finds no page asked for twice and no table writable;
 * whatever happens, nothing is left when the domain has been ended.
 *
 * links: control/restore_domain.c control/restore_stream.c control/restore_memory.c control/restore_vcpu.c control/restore_config.c control/json.c
 * links: control/domain_builder.c lib/start_layout.c control/builder_memory.c control/builder_start.c control/builder_unpack.c
 * links: control/domain_config.c control/config_lex.c control/config_disk.c control/config_vif.c control/config_pci.c control/config_words.c control/config_cpus.c
 * links: lib/error_name.c lib/elf.c lib/printf.c lib/text.c
 * links: unpack/unpack.c unpack/gzip.c unpack/gzip_fast.c unpack/gzip_trees.c unpack/xz.c unpack/zstd.c unpack/lz4.c
 * links: tests/host/fake_control.c tests/host/fake_versions.c tests/host/mock_host.c tests/host/mock_share.c
 * links: tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c tests/host/saved_guest.c
 */
#include <stdlib.h>
#include <string.h>

#include "control/restore.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/host/fake_control.h"
#include "tests/host/mock_host.h"
#include "tests/host/saved_guest.h"

/* The text in front, and the records behind it, are a small part of all bytes: places are given in a quarter of
 * the cases as offsets from a record's header. */
static size_t place(struct input *in, const struct saved *s)
{
	static const uint8_t types[] = {
	    STREAM_PAGE_DATA, STREAM_PV_P2M_FRAMES, STREAM_VCPU_BASIC,    STREAM_SHARED_INFO,
	    STREAM_TSC_INFO,  STREAM_END,           STREAM_VCPU_EXTENDED, STREAM_STATIC_END};
	unsigned how = (unsigned)take(in, 1);
	size_t at = (size_t)take(in, 3);

	if (how < 64)
		return (saved_find(s, types[how % 8], 0) + at % 64) % s->len;
	return at % s->len;
}

static void change(struct input *in, const struct saved *good, struct saved *s)
{
	size_t at = place(in, good);
	unsigned kind = (unsigned)take(in, 1), bytes = 1u << kind % 4;
	uint64_t value = take(in, bytes);

	if (kind >= 240)
		s->len = at;
	else if (at + bytes <= s->len)
		memcpy(s->bytes + at, &value, bytes);
}

static void spoil(struct input *in, struct saved *s)
{
	struct saved good;

	saved_new(&good, NULL);
	saved_new(s, NULL);
	while (in->at < in->end && s->len) /* each round eats a change */
		change(in, &good, s);
	saved_free(&good);
}

/* As restore.c does, without its disk. */
static void run(const uint8_t *bytes, size_t len, size_t part)
{
	struct restore *r = host_alloc(sizeof(*r));
	int err;

	r->config = host_alloc(sizeof(*r->config));
	r->begin = restore_make_domain;
	r->built.domid = DOMID_INVALID;
	err = restore_open(r);
	while (!err && len && r->stage != RESTORE_DONE) { /* each round eats a part */
		size_t n = MIN(len, part);

		err = restore_push(r, bytes, n);
		bytes += n;
		len -= n;
	}
	if (!err && r->stage == RESTORE_DONE)
		err = restore_finish(r);
	if (err && !r->why[0])
		abort();
	restore_close(r);
	if (r->build.created)
		(void)domain_destroy(r->built.domid);
	host_free(r->config, sizeof(*r->config));
	host_free(r, sizeof(*r));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	bool raw = take(&in, 1) & 1;
	size_t part = 1 + (size_t)take(&in, 1) * 97;
	struct saved s = {0};

	mock_reset();
	fake_reset(200);
	if (raw) {
		run(in.at, (size_t)(in.end - in.at), part);
	} else {
		spoil(&in, &s);
		run(s.bytes, s.len, part * 16);
		saved_free(&s);
	}
	fake_expect_nothing_left();
	if (mock_left(0).allocs || mock_left(0).pages)
		abort();
	return 0;
}

/* restore_fixture.c: see restore_fixture.h.
 *
 * The disk is the mock's, and holds something else behind the stream. Callers: restore_test,
 * restore_spoiled_test. Calls control.h, the mocks, cmocka.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "restore_fixture.h"

struct saved saved;
struct mock_disk *restore_disk;
struct restore_done restore_done;

void restore_on_done(void *ctx, int err, const char *name)
{
	assert_ptr_equal(ctx, &saved);
	restore_done.calls++;
	restore_done.err = err;
	snprintf(restore_done.name, sizeof(restore_done.name), "%s", name);
}

int restore_setup(void **state)
{
	world_setup(state);
	saved_free(&saved);
	saved_new(&saved, NULL);
	restore_disk = mock_disk_new("serial=" RESTORE_DISK, RESTORE_SECTORS);
	return 0;
}

/* Writes the stream to the disk; the rest of the disk is full of something else. */
void restore_fill_disk(void)
{
	memset(restore_disk->data, 0xee, RESTORE_SECTORS * SECTOR_SIZE);
	assert_true(saved.len <= RESTORE_SECTORS * SECTOR_SIZE);
	memcpy(restore_disk->data, saved.bytes, saved.len);
}

int restore_as(const struct domain_config *config)
{
	restore_fill_disk();
	restore_done.calls = 0;
	assert_int_equal(control_restore(RESTORE_DISK, config, restore_on_done, &saved), 0);
	mock_run();
	assert_int_equal(restore_done.calls, 1);
	return restore_done.err;
}

void restore_expect_made(void)
{
	const struct control_domain *d;
	int err = restore_as(NULL);

	if (err)
		fail_msg("%d: %s", err, control_why());
	d = control_find("s");
	assert_non_null(d);
	world_id = d->domid;
}

/* The whole text, so that the place in it is checked too. */
void restore_expect_refused(int err, const char *fmt, ...)
{
	char why[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	assert_int_equal(restore_as(NULL), err);
	if (strcmp(control_why(), why) != 0)
		fail_msg("wanted '%s', said '%s'", why, control_why());
	world_expect_nothing_left();
}

void restore_expect_refused_at(int err, uint32_t type, unsigned nth, const char *text,
			       const char *name)
{
	restore_expect_refused(err, "s: %s (%s at byte %zu)", text, name,
			       saved_find(&saved, type, nth));
}

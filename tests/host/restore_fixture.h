/* restore_fixture.h: a saved guest on a disk, and control in the world of fakes that is to make it again.
 *
 * For restore_test and restore_spoiled_test: each test begins with the good stream of saved_guest.c in `saved`,
 * changes it, and says what shall come of it. Fails the test by cmocka.
 */
#ifndef TESTS_RESTORE_FIXTURE_H
#define TESTS_RESTORE_FIXTURE_H

#include <amphi/control.h>

#include "control_world.h"
#include "fake_control.h"
#include "mock_host.h"
#include "saved_guest.h"

#define RESTORE_DISK    "save" /* the world's hook calls it serial=save */
#define RESTORE_SECTORS 1024u

extern struct saved saved;
extern struct mock_disk *restore_disk;

/* What control_restore told at its end. */
struct restore_done {
	int err;
	unsigned calls;
	char name[64];
};
extern struct restore_done restore_done;
void restore_on_done(void *ctx, int err, const char *name);

int restore_setup(void **state);

/* Writes the stream to the disk; the rest of the disk is full of something else. */
void restore_fill_disk(void);

/* From that disk, to its end; what done was told. */
int restore_as(const struct domain_config *config);

/* It is made; world_id is its number. */
void restore_expect_made(void);

/* It is refused with this text, and nothing is left; _at: "s: TEXT (NAME at byte N)", N being that of the nth
 * record of this type. */
void restore_expect_refused(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void restore_expect_refused_at(int err, uint32_t type, unsigned nth, const char *text,
			       const char *name);

#endif

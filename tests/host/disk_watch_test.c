/* disk_watch_test: a disk's device whose PCI function has an error, or was pulled out.
 *
 * Why: between the first word of an error and the last the device may be reset by others, and whatever is asked of it in that time is lost; what it
 * had not answered before is not. Expected: stopped at the first word and left alone until the last, or until nobody can be expected to say it;
 * then reset, and all that was in flight sent again; pulled out, everything fails at once. The driver is the test, with two commands.
 *
 * links: drivers-native/disk_watch.c drivers-native/disk_error.c lib/printf.c lib/text.c
 * links: tests/host/mock_host.c tests/host/mock_share.c tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/drivers.h>
#include <amphi/machine.h>
#include <amphi/xen.h>

#include "drivers-native/disk_watch.h"
#include "mock_host.h"

#define BDF      0x0100u
#define COMMANDS 2u

static struct disk_watch watch;
static struct disk_age ages[COMMANDS];
static struct block_device disk = {.name = "d"};
static struct block_request requests[COMMANDS];
static bool flies[COMMANDS];
static unsigned stops, resets, agains, fails, resumes, gones;
static int reset_answer;

static bool command(struct disk_watch *w, unsigned n, struct disk_command *out)
{
	(void)w;
	*out = (struct disk_command){&ages[n], &disk, &requests[n]};
	return flies[n];
}

static int health(struct disk_watch *w)
{
	(void)w;
	return 0;
}

static void nothing(struct disk_watch *w)
{
	(void)w;
}

static void stop(struct disk_watch *w)
{
	(void)w;
	stops++;
}

static int reset(struct disk_watch *w)
{
	(void)w;
	resets++;
	return reset_answer;
}

static void again(struct disk_watch *w, unsigned n)
{
	(void)w;
	assert_true(flies[n]);
	agains++;
}

static void fail_one(struct disk_watch *w, unsigned n)
{
	(void)w;
	flies[n] = false;
	fails++;
}

static void resume(struct disk_watch *w)
{
	(void)w;
	resumes++;
}

static void gone(struct disk_watch *w)
{
	(void)w;
	gones++;
}

static const struct disk_watch_ops ops = {.command = command,
					  .health = health,
					  .reap = nothing,
					  .stop = stop,
					  .reset = reset,
					  .again = again,
					  .fail = fail_one,
					  .resume = resume,
					  .detach = nothing,
					  .gone = gone};

void machine_delay_us(unsigned us)
{
	(void)us;
}

static int setup(void **state)
{
	(void)state;
	mock_reset();
	disk_watch_remove(BDF); /* the last test's */
	watch = (struct disk_watch){
	    .ops = &ops, .name = "d0", .reset_polls = 10, .n_commands = COMMANDS};
	memset(ages, 0, sizeof(ages));
	flies[0] = flies[1] = true;
	reset_answer = 0;
	disk_watch_init(&watch);
	disk_watch_started(&watch, BDF);
	stops = resets = agains = fails = resumes = gones = 0;
	return 0;
}

static void expect_again(unsigned n)
{
	assert_int_equal(watch.phase, DISK_RUNNING);
	assert_int_equal(agains, n);
	assert_int_equal(resumes, 1);
	assert_int_equal(fails, 0);
	flies[0] = flies[1] = false;
	mock_advance(10 * DISK_LOOK_NS);
}

static void test_from_first_to_last_word(void **state)
{
	disk_watch(&watch); /* a look was due */
	disk_watch_error(BDF + 1, DRIVERS_ERROR_GONE);
	disk_watch_error(BDF, DRIVERS_ERROR_FOUND);
	assert_int_equal(watch.phase, DISK_RESETTING);
	assert_int_equal(stops, 1);
	mock_advance(DRIVERS_ERROR_WAIT_NS / 2);
	assert_int_equal(resets, 0); /* it is somebody else's meanwhile */
	disk_watch_error(BDF, DRIVERS_ERROR_OVER);
	assert_int_equal(stops, 2); /* what was begun may have been lost */
	mock_advance(2 * DISK_POLL_NS);
	expect_again(2);
	assert_int_equal(watch.resets, 1);
	assert_true(mock_logged("d0: an error of its PCI function: reset 1"));
}

static void test_last_word_alone(void **state)
{
	disk_watch_error(BDF, DRIVERS_ERROR_OVER);
	mock_advance(2 * DISK_POLL_NS);
	expect_again(2);
}

static void test_last_word_never_comes(void **state)
{
	flies[1] = false;
	disk_watch_error(BDF, DRIVERS_ERROR_FOUND);
	mock_advance(DRIVERS_ERROR_WAIT_NS);
	expect_again(1);
}

/* The reset that is under way begins anew, with all its time. */
static void test_while_it_is_reset(void **state)
{
	disk_watch_reset(&watch, "no answer");
	reset_answer = -XEN_EAGAIN;
	mock_advance(8 * DISK_POLL_NS);
	disk_watch_error(BDF, DRIVERS_ERROR_OVER);
	assert_int_equal(stops, 2);
	mock_advance(8 * DISK_POLL_NS);
	assert_int_equal(watch.phase, DISK_RESETTING);
	reset_answer = 0;
	mock_advance(2 * DISK_POLL_NS);
	expect_again(2);
}

static void test_does_not_come_back(void **state)
{
	reset_answer = -XEN_EIO;
	disk_watch_error(BDF, DRIVERS_ERROR_OVER);
	mock_advance(2 * DISK_POLL_NS);
	assert_int_equal(watch.phase, DISK_GONE);
	assert_int_equal(fails, 2);
	assert_int_equal(gones, 1);
}

static void test_pulled_out(void **state)
{
	disk_watch_error(BDF, DRIVERS_ERROR_FOUND);
	disk_watch_error(BDF, DRIVERS_ERROR_GONE);
	assert_int_equal(fails, 2);
	assert_int_equal(gones, 1);
	assert_true(mock_logged("d0: was pulled out: its disks are gone"));
	disk_watch_error(BDF, DRIVERS_ERROR_GONE);
	disk_watch_error(BDF, DRIVERS_ERROR_OVER);
	mock_advance(DRIVERS_ERROR_WAIT_NS);
	assert_int_equal(gones, 1);
	assert_int_equal(resets, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_from_first_to_last_word, setup),
	    cmocka_unit_test_setup(test_last_word_alone, setup),
	    cmocka_unit_test_setup(test_last_word_never_comes, setup),
	    cmocka_unit_test_setup(test_while_it_is_reset, setup),
	    cmocka_unit_test_setup(test_does_not_come_back, setup),
	    cmocka_unit_test_setup(test_pulled_out, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

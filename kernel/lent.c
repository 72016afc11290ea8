/* lent.c: devices that another domain lends to this one: whoever finds them, drives them, and looks what is on them, is tied together here.
 *
 * Contract: lent.h. Called by main.c and commands_disk.c, and by pcifront in the worker. Calls pcifront.h, drivers.h, partition_late.h. Nothing here knows a
 * device.
 */
#include "lent.h"

#include <amphi/drivers.h>
#include <amphi/host.h>
#include <amphi/pcifront.h>
#include "boot.h"
#include "partition_late.h"
#include "thread.h"
#include "time.h"
#include "worker.h"

/* As long as pcifront waits for an answer. */
#define PROMISED_WAIT_NS PCIFRONT_ANSWER_NS
#define PROMISED_POLL_NS (2 * NS_PER_MS)

/* The tables of new disks are read by a thread, since the worker, which is here, is who brings what it waits for. */
static void added(uint16_t bdf)
{
	drivers_native_add(bdf);
	partitions_find_soon();
}

static const struct pcifront_user user = {
    .added = added, .removing = drivers_native_remove, .error = drivers_native_error};

static bool started;

int lent_start(void)
{
	int error = pcifront_init(&user);

	started = !error;
	return error;
}

/* How many backends the toolstack has named, less those that have shown what they have, or have closed. */
static int missing(void *ctx)
{
	char names[128];
	int promised = host_store_list(HOST_TX_NONE, "device/pci", names, sizeof(names));

	return promised - (int)pcifront_settled();
}

void lent_wait(void)
{
	uint64_t end_ns = time_ns() + PROMISED_WAIT_NS;

	if (!started)
		return;
	while (worker_call(missing, NULL) > 0 && time_ns() < end_ns)
		thread_sleep_ns(PROMISED_POLL_NS);
	partitions_wait();
}

/* e1000e_full_test: the driver of Intel's 82574, and with it what all cards' drivers share, when a frame's memory cannot be mapped.
 *
 * Above the kernel's own bounce buffers (iommu/swiotlb.c), which another device fills. Why: a frame that is lost in the driver is a page that a
 * guest never gets back; one that waits for what never comes is a queue that stands. Expected: frames wait in order for those
 * under way, and go out with their bytes; when none is under way they are dropped, counted as for want of room and not as malformed, and put back with
 * the error; afterwards frames go out as before.
 *
 * links: tests/host/nic_world.c tests/host/e1000e_card.c drivers-native/e1000e*.c drivers-native/nic.c drivers-native/nic_buffer.c
 * links: drivers-native/nic_watch.c tests/host/low_memory.c iommu/dma.c iommu/dma_bounce.c iommu/dma_untrusted.c iommu/dma_direct.c iommu/dma_debug.c iommu/swiotlb.c
 * links: kernel/net.c protocol/net_parse.c protocol/net_hash.c protocol/net_sum.c lib/printf.c lib/text.c tests/host/mock_host.c tests/host/mock_share.c
 * links: tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c
 */
#include "drivers-native/e1000e.h"

#include <amphi/drivers.h>
#include <amphi/machine.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "e1000e_card.h"
#include "low_memory.h"
#include "mock_host.h"
#include "nic_world.h"

#define ALL 0xffffffffu

static int probe(void **state)
{
	static const struct pci_function function = {.vendor = 0x8086, .device = 0x10d3};

	nic_world_begin();
	low_begin();
	nic_on_delay = e1k_pass_time;
	e1k_power_on();
	nic_vectors = 5;
	assert_int_equal(e1000e_probe(&function), 0);
	nic_world_attach();
	return 0;
}

/* The next frame that the card was given is this one. */
static void goes_out(const struct nic_frame *f, uint32_t len, unsigned seed)
{
	uint8_t bytes[2048];

	e1k_next_sent();
	nic_world_bytes(bytes, len, seed);
	assert_int_equal(e1k_sent.len, len);
	assert_memory_equal(e1k_sent.bytes, bytes, len);
	assert_int_equal(f->done, 0);
	e1k_finish();
	assert_int_equal(f->done, 1);
	assert_int_equal(f->status, 0);
}

static void they_wait_for_those_under_way(void **state)
{
	struct nic_frame *f[6];

	low_leave(1);
	for (unsigned i = 0; i < 6; i++) {
		f[i] = nic_world_frame(100 + i, 1, i);
		nic_world_send(f[i]);
	}
	for (unsigned i = 0; i < 6; i++)
		goes_out(f[i], 100 + i, i);
	assert_int_equal(nic_world_drops(NET_DROP_full) + nic_world_drops(NET_DROP_malformed), 0);
	low_leave(ALL);
	assert_int_equal(low_used(), 0);
}

/* One under way, one that waits; then the room of the first is another's. */
static void they_are_dropped_when_none_is(void **state)
{
	struct nic_frame *f = nic_world_frame(100, 1, 1), *big = nic_world_frame(6000, 3, 2);

	low_leave(0);
	nic_world_send(f);
	assert_int_equal(f->done, 1);
	assert_int_equal(f->status, -XEN_ENOSPC);
	assert_int_equal(nic_world_drops(NET_DROP_full), 1);
	low_leave(2);
	f = nic_world_frame(100, 1, 1);
	nic_world_send(f);
	nic_world_send(big); /* is more than there ever is */
	assert_int_equal(big->done, 0);
	goes_out(f, 100, 1);
	assert_int_equal(big->done, 1);
	assert_int_equal(big->status, -XEN_ENOSPC);
	assert_int_equal(nic_world_drops(NET_DROP_full), 2);
	assert_int_equal(nic_world_drops(NET_DROP_malformed), 0);
	low_leave(ALL);
	assert_int_equal(low_used(), 0);
	f = nic_world_frame(1400, 2, 7);
	nic_world_send(f);
	goes_out(f, 1400, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(they_wait_for_those_under_way),
	    cmocka_unit_test(they_are_dropped_when_none_is),
	};

	return cmocka_run_group_tests(tests, probe, NULL);
}

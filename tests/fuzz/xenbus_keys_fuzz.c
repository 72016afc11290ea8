/* xenbus_keys_fuzz: what a peer writes as a number, a text or a disk's name.
 *
 * The first byte says which parser gets the rest. Expected: a number is taken exactly when the C
 * library's reading of plain digits agrees and it is in range; a disk's name read gives a number
 * whose name is a name again, for the same disk; nothing is read beyond the text (ASan).
 *
 * links: tests/host/mock_host.c tests/host/mock_share.c tests/host/mock_store.c
 * links: tests/host/mock_disk.c protocol/xenbus_keys.c protocol/blkif_names.c
 * links: lib/printf.c lib/text.c tests/host/peer_recorder.c
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <amphi/blkif.h>
#include <amphi/xenbus.h>

#include "tests/host/mock_host.h"

static void check_number(const char *text, uint64_t max)
{
	uint64_t value = 0;
	bool taken = xenbus_parse_number(text, max, &value);
	char *rest;
	unsigned long long expected;

	errno = 0;
	expected = strtoull(text, &rest, 10);
	if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text) || errno == ERANGE ||
	    expected > max) {
		if (taken)
			abort();
	} else if (!taken || value != expected) {
		abort();
	}
}

static void check_name(const char *text)
{
	unsigned vdev, again;
	char name[16], same[16];

	if (!blkif_vdev_number(text, &vdev) || !blkif_vdev_name(vdev, name, sizeof(name)))
		return;
	if (!blkif_vdev_number(name, &again) || !blkif_vdev_name(again, same, sizeof(same)) ||
	    strcmp(name, same) != 0)
		abort();
}

static void check_store(const char *text)
{
	static const struct xenbus_number number = {"key", 3, 70000, 9, true};
	uint64_t value;
	char out[32];

	mock_reset();
	mock_store_put("/local/domain/0/dir/key", text);
	if (xenbus_read_numbers(HOST_TX_NONE, "dir", &number, 1, &value) == 0 &&
	    (value < 3 || value > 70000))
		abort();
	if (xenbus_read_text(HOST_TX_NONE, "dir", "key", out, sizeof(out)) >= 0)
		for (const char *s = out; *s; s++)
			if (*s < 0x20 || *s > 0x7e)
				abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t limits[] = {0, 1, 9, 10, 255, UINT32_MAX, UINT64_MAX};
	char text[256];

	if (size < 1 || size > sizeof(text))
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (data[0] & 0x80)
		check_name(text);
	else if (data[0] & 0x40)
		check_store(text);
	else
		check_number(text, limits[data[0] % ARRAY_SIZE(limits)]);
	return 0;
}

/* xenbus_keys.c: numbers and short texts of a device's directory in the store.
 *
 * What the peer wrote is read here and nowhere else: a number is digits within a stated range, a
 * text is printable; anything else is an error that the log names. Not here: what the keys mean.
 * Called by the xenbus engine and by the drivers' connect steps; calls host.h. Worker context.
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include "xenbus_private.h"

/* The store refuses a transaction whose reads another has changed since (EAGAIN). A toolstack that
 * is at work on the same directory makes that happen once or twice; eight in a row is somebody who
 * means it, and the worker has others to serve. */
#define TX_TRIES 8

bool xenbus_join(char *out, const char *dir, const char *key)
{
	return fmt_text(out, STORE_PATH_MAX, "%s/%s", dir, key) < STORE_PATH_MAX;
}

/* A number from a peer becomes a size, a port or an index, so no sign, blank, or base is guessed.
 * The test is made before value * 10 + digit, which therefore stays within max. */
bool xenbus_parse_number(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (*text == '\0')
		return false;
	for (; *text; text++) {
		unsigned digit = (unsigned)(*text - '0');

		if (digit > 9 || digit > max || value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	return true;
}

/* These texts reach the log and are compared with known words. A NUL in the middle of a value is
 * caught here too: strlen would see less than the store holds. */
static bool printable(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) /* len < cap of the caller's buffer */
		if (text[i] < 0x20 || text[i] > 0x7e)
			return false;
	return true;
}

int xenbus_read_text(uint32_t tx, const char *dir, const char *key, char *out, size_t cap)
{
	char path[STORE_PATH_MAX];
	int len;

	if (!xenbus_join(path, dir, key))
		return -XEN_E2BIG;
	len = host_store_read(tx, path, out, cap);
	if (len < 0)
		return len;
	return printable(out, (size_t)len) ? len : -XEN_EINVAL;
}

/* Not required and not there is the common case of a feature key: a peer that does not know a
 * feature does not write it. */
static int read_number(uint32_t tx, const char *dir, const struct xenbus_number *n, uint64_t *out)
{
	char text[24];
	int err = xenbus_read_text(tx, dir, n->key, text, sizeof(text));

	if (err == -XEN_ENOENT && !n->required) {
		*out = n->otherwise;
		return 0;
	}
	if (err < 0)
		return err == -XEN_E2BIG ? -XEN_EINVAL : err;
	if (!xenbus_parse_number(text, n->max, out) || *out < n->min)
		return -XEN_EINVAL;
	return 0;
}

/* All or nothing for the caller: at the first wrong key the connect step fails, and the log has the
 * one line by which an administrator finds which key it was. */
int xenbus_read_numbers(uint32_t tx, const char *dir, const struct xenbus_number *numbers,
			unsigned count, uint64_t *out)
{
	for (unsigned i = 0; i < count; i++) {
		int err = read_number(tx, dir, &numbers[i], &out[i]);

		if (err) {
			host_log(HOST_LOG_WARN, "%s/%s: %s", dir, numbers[i].key,
				 err == -XEN_ENOENT   ? "missing"
				 : err == -XEN_EINVAL ? "not a number in its range"
						      : "cannot be read");
			return err;
		}
	}
	return 0;
}

int xenbus_write_text(uint32_t tx, const char *dir, const char *key, const char *value)
{
	char path[STORE_PATH_MAX];

	if (!xenbus_join(path, dir, key))
		return -XEN_E2BIG;
	return host_store_write(tx, path, value);
}

void xenbus_remove_key(uint32_t tx, const char *dir, const char *key)
{
	char path[STORE_PATH_MAX];

	if (xenbus_join(path, dir, key))
		(void)host_store_rm(tx, path);
}

int xenbus_write_number(uint32_t tx, const char *dir, const char *key, uint64_t value)
{
	char text[24];

	fmt_text(text, sizeof(text), "%llu", (unsigned long long)value);
	return xenbus_write_text(tx, dir, key, text);
}

/* fn sees one state of the store and its writes take effect at once: a peer that watches never
 * reads half of what a driver writes. As fn may run several times it must leave nothing behind. */
int xenbus_transaction(int (*fn)(uint32_t tx, void *ctx), void *ctx)
{
	int err = -XEN_EAGAIN;

	for (int tries = 0; tries < TX_TRIES && err == -XEN_EAGAIN; tries++) {
		uint32_t tx;

		err = host_store_begin(&tx);
		if (err)
			return err;
		err = fn(tx, ctx);
		if (err)
			host_store_end(tx, false);
		else
			err = host_store_end(tx, true);
	}
	return err;
}

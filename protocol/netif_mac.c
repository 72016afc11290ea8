/* netif_mac.c: Ethernet addresses as toolstacks write them.
 *
 * Contract: amphi/netif.h. Callers: netfront and netback for the key "mac". Pure functions.
 */
#include <amphi/netif.h>

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A NUL is no digit, so nothing is read behind the end. */
bool netif_mac_read(const char *text, uint8_t mac[NET_MAC_BYTES])
{
	uint8_t bytes[NET_MAC_BYTES];

	for (unsigned i = 0; i < NET_MAC_BYTES; i++, text += 3) {
		char end = i + 1 < NET_MAC_BYTES ? ':' : '\0';

		if (digit(text[0]) < 0 || digit(text[1]) < 0 || text[2] != end)
			return false;
		bytes[i] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
	}
	__builtin_memcpy(mac, bytes, sizeof(bytes));
	return !(bytes[0] & 1);
}

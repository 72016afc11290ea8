/* config.c: reads what ip= says.
 *
 * Called by kmain's side through net_stack_parse, and by host tests. Pure: no console, no state. The text is the command line's, which may
 * come from another domain.
 */
#include <amphi/string.h>

#include <lwip/ip4_addr.h>

#include "net_stack.h"

#define WORD_MAX 40u

/* The word up to the next of end, of which *text is moved behind; false: it is too long. */
static bool next_word(const char **text, char end, char word[WORD_MAX])
{
	const char *p = *text;
	size_t n = 0;

	while (p[n] && p[n] != end)
		n++;
	if (n >= WORD_MAX)
		return false;
	memcpy(word, p, n);
	word[n] = '\0';
	*text = p + n + (p[n] != '\0');
	return true;
}

/* All four numbers: the short forms of old (10.1) are more often a slip than meant. */
static bool read_ip4(const char *word, uint32_t *out)
{
	unsigned dots = 0;
	ip4_addr_t a;

	for (const char *p = word; *p; p++)
		dots += *p == '.';
	if (dots != 3 || !ip4addr_aton(word, &a))
		return false;
	*out = a.addr;
	return true;
}

static bool read_network(const char *word, struct net_stack_config *out)
{
	char address[WORD_MAX];
	uint64_t bits;

	if (!next_word(&word, '/', address) || !read_ip4(address, &out->address) || !out->address ||
	    !str_to_u64(word, &bits) || !bits || bits > 32)
		return false;
	out->mask = lwip_htonl(0xffffffffu << (32 - bits));
	return true;
}

static bool read_option(const char *word, struct net_stack_config *out)
{
	unsigned i = 0;

	if (str_starts(word, "gw="))
		return read_ip4(word + 3, &out->gateway);
	if (!str_starts(word, "dns="))
		return false;
	while (i < NET_DNS_SERVERS && out->dns[i])
		i++;
	return i < NET_DNS_SERVERS && read_ip4(word + 4, &out->dns[i]);
}

int net_stack_parse(const char *text, struct net_stack_config *out)
{
	struct net_stack_config config = {.mode = NET_STACK_STATIC};
	char word[WORD_MAX];

	if (!strcmp(text, "dhcp") || !strcmp(text, "off")) {
		config.mode = *text == 'd' ? NET_STACK_DHCP : NET_STACK_OFF;
		*out = config;
		return 0;
	}
	if (!next_word(&text, ',', word) || !read_network(word, &config))
		return -XEN_EINVAL;
	while (*text)
		if (!next_word(&text, ',', word) || !read_option(word, &config))
			return -XEN_EINVAL;
	*out = config;
	return 0;
}

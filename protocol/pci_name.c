/* pci_name.c: reads the names of PCI functions (pci_name.h).
 *
 * Called by pcifront and pciback, about words of the other half and of the toolstack. Calls nothing.
 */
#include <amphi/pci_name.h>

static uint32_t digit(char c)
{
	if (c >= '0' && c <= '9')
		return (uint32_t)(c - '0');
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10 : 16;
}

/* Hexadecimal digits up to `end`, at most max. */
static bool take_hex(const char **at, char end, uint32_t max, uint32_t *out)
{
	const char *p = *at;
	uint32_t v = 0;

	for (; *p && *p != end; p++) {
		uint32_t d = digit(*p);

		/* max is below 2^28: no number overflows before it is too large. */
		if (d > 15 || v * 16 + d > max)
			return false;
		v = v * 16 + d;
	}
	if (p == *at || *p != end)
		return false;
	*at = p + (end != '\0');
	*out = v;
	return true;
}

bool pci_name_hex(const char *text, uint32_t max, uint32_t *out)
{
	return take_hex(&text, '\0', MIN(max, 0x0fffffffu), out);
}

bool pci_name_parse(const char *text, struct pci_name *out)
{
	uint32_t domain, bus, slot, fn;

	if (!take_hex(&text, ':', 0xffff, &domain) || !take_hex(&text, ':', 0xff, &bus) ||
	    !take_hex(&text, '.', 0x1f, &slot) || !take_hex(&text, '\0', 7, &fn))
		return false;
	*out = (struct pci_name){(uint16_t)domain, (uint8_t)bus, (uint8_t)(slot << 3 | fn)};
	return true;
}

bool pci_name_equal(const struct pci_name *a, const struct pci_name *b)
{
	return a->domain == b->domain && a->bus == b->bus && a->devfn == b->devfn;
}

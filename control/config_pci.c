/* config_pci.c: one PCI function of a domain file, as xl-pci-configuration(5) writes it.
 *
 * [SEGMENT:]BUS:DEVICE.FUNCTION[@SLOT] and then KEY=VALUE, parted by commas; the first two may be keys too (bdf=, vslot=).
 * Errors point at the column of the field. Not here: whether there is such a function, and who may have it
 * (control_pci.c). Pure. Callers: domain_config.c, control_pci_*.c. Calls string.h.
 */
#include <amphi/domain_config.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "config_parse.h"

#define DEVICE_MAX   0x1fu
#define FUNCTION_MAX 7u

/* 1 to most hexadecimal digits; *at is left behind them. */
static bool take_hex(const char **at, unsigned most, unsigned *out)
{
	unsigned n = 0;

	for (*out = 0; n < most; n++, ++*at) {
		char c = **at, low = (char)(c | 0x20);

		if (c >= '0' && c <= '9')
			*out = *out << 4 | (unsigned)(c - '0');
		else if (low >= 'a' && low <= 'f')
			*out = *out << 4 | (unsigned)(low - 'a' + 10);
		else
			break;
	}
	return n > 0;
}

static bool take_char(const char **at, char c)
{
	if (**at != c)
		return false;
	++*at;
	return true;
}

/* The parts before the last dot, of which the first may be missing. */
static bool take_bdf(const char **at, struct config_pci *pci)
{
	unsigned segment = 0, bus, device, function;

	if (!take_hex(at, 4, &bus) || !take_char(at, ':') || !take_hex(at, 2, &device))
		return false;
	if (take_char(at, ':')) {
		segment = bus;
		bus = device;
		if (!take_hex(at, 2, &device))
			return false;
	}
	if (!take_char(at, '.') || !take_hex(at, 1, &function))
		return false;
	pci->segment = (uint16_t)segment;
	pci->given |= CONFIG_PCI_NAMED;
	pci->bdf = (uint16_t)(bus << 8 | device << 3 | function);
	return bus <= 0xff && device <= DEVICE_MAX && function <= FUNCTION_MAX;
}

bool config_pci_address(const char *text, uint16_t *out_segment, uint16_t *out_bdf)
{
	struct config_pci pci = {0};

	if (!take_bdf(&text, &pci) || *text)
		return false;
	*out_segment = pci.segment;
	*out_bdf = pci.bdf;
	return true;
}

/* ---- fields: NULL, or what is wrong -------------------------------------------------------- */

static const char *set_slot(struct config_pci *pci, const char *value)
{
	unsigned slot;

	if (!take_hex(&value, 2, &slot) || *value || slot > DEVICE_MAX)
		return "is no slot from 0 to 1f";
	pci->slot = (uint8_t)slot;
	return NULL;
}

static const char *set_bdf(struct config_pci *pci, const char *value)
{
	const char *at = value, *star = strchr(value, '*');

	if (star)
		return "names all functions of a device: name each";
	if (!take_bdf(&at, pci))
		return "is no function like 0000:03:00.0 or 03:00.0";
	if (take_char(&at, '@'))
		return set_slot(pci, at);
	return *at ? "is no function like 0000:03:00.0 or 03:00.0" : NULL;
}

static const char *set_flag(struct config_pci *pci, const char *value, uint8_t flag)
{
	if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
		return "is neither 0 nor 1";
	pci->given |= flag;
	pci->flags = (uint8_t)(value[0] == '1' ? pci->flags | flag : pci->flags & ~flag);
	return NULL;
}

static const char *set_permissive(struct config_pci *pci, const char *value)
{
	return set_flag(pci, value, CONFIG_PCI_PERMISSIVE);
}

static const char *set_power(struct config_pci *pci, const char *value)
{
	return set_flag(pci, value, CONFIG_PCI_POWER);
}

/* A device model's, which turns a pin into a message behind its guest's back. */
static const char *set_translate(struct config_pci *pci, const char *value)
{
	(void)pci;
	if (!strcmp(value, "0"))
		return NULL;
	return strcmp(value, "1") ? "is neither 0 nor 1" : CONFIG_PCI_NO_TRANSLATE;
}

/* The flag is the other way round: a file that says nothing means it. */
static const char *set_seize(struct config_pci *pci, const char *value)
{
	const char *why = set_flag(pci, value, CONFIG_PCI_ASK);

	pci->flags ^= why ? 0 : CONFIG_PCI_ASK;
	return why;
}

static const char *set_either(struct config_pci *pci, const char *value, uint8_t flag)
{
	if (strcmp(value, "strict") && strcmp(value, "relaxed"))
		return "is neither strict nor relaxed";
	return set_flag(pci, value[0] == 'r' ? "1" : "0", flag);
}

/* Whether it may be given although others reach it, or it them, and no IOMMU knows: xl has no word for that. */
static const char *set_group(struct config_pci *pci, const char *value)
{
	return set_either(pci, value, CONFIG_PCI_APART);
}

/* Whether it may be given although another function uses the memory that firmware keeps for it: the hypervisor decides. */
static const char *set_policy(struct config_pci *pci, const char *value)
{
	return set_either(pci, value, CONFIG_PCI_RELAXED);
}

static const char *set_name(struct config_pci *pci, const char *value)
{
	(void)pci, (void)value;
	return "is not supported: functions have no names here";
}

static const struct pci_field {
	const char *name;
	const char *(*set)(struct config_pci *pci, const char *value);
} fields[] = {
    {"bdf", set_bdf},
    {"vslot", set_slot},
    {"permissive", set_permissive},
    {"power_mgmt", set_power},
    {"msitranslate", set_translate},
    {"seize", set_seize},
    {"rdm_policy", set_policy},
    {"group_policy", set_group},
    {"name", set_name},
};

/* ---- the whole ----------------------------------------------------------------------------- */

static const struct pci_field *find_field(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++)
		if (!strcmp(fields[i].name, name))
			return &fields[i];
	return NULL;
}

/* The first word needs no key, and nobody writes one. */
static bool take_field(struct config_parser *p, const struct token *at, struct config_pci *pci,
		       char *field)
{
	char *equals = strchr(field, '=');
	const struct pci_field *f = &fields[0];
	const char *why;

	if (equals) {
		*equals = 0;
		f = find_field(field);
	} else if (at->column != p->pci_column) {
		config_error(p, at, "pci field '%s' is not KEY=VALUE", field);
		return false;
	}
	if (!f) {
		config_error(p, at, "unknown pci key '%s'", field);
		return false;
	}
	why = f->set(pci, equals ? equals + 1 : field);
	if (why)
		config_error(p, at, "pci %s '%s' %s", f->name, equals ? equals + 1 : field, why);
	return !why;
}

/* The first error of a function is told, and the others not. */
static bool take_fields(struct config_parser *p, const struct token *token, struct config_pci *pci,
			char *text)
{
	char *field = text, *comma;
	struct token at = *token;

	p->pci_column = 0;
	while (field) { /* each step eats a field */
		while (*field == ' ')
			field++;
		comma = strchr(field, ',');
		if (comma)
			*comma = 0;
		at.column = token->column + 1 + (unsigned)(field - text);
		if (!p->pci_column)
			p->pci_column = at.column;
		if (*field && !take_field(p, &at, pci, field))
			return false;
		field = comma ? comma + 1 : NULL;
	}
	return true;
}

struct config_pci *config_find_pci(const struct domain_config *c, uint16_t segment, uint16_t bdf)
{
	for (unsigned i = 0; i < c->n_pci; i++)
		if (c->pci[i].segment == segment && c->pci[i].bdf == bdf)
			return (struct config_pci *)&c->pci[i];
	return NULL;
}

void config_add_pci(struct config_parser *p, const struct token *token)
{
	struct domain_config *c = p->out;
	struct config_pci pci = {.slot = CONFIG_PCI_ANY_SLOT};
	char text[CONFIG_SPEC_MAX];

	if (c->n_pci == CONFIG_MAX_PCI)
		config_error(p, token, "more than %u PCI functions", CONFIG_MAX_PCI);
	else if (!token_text(token, text, sizeof(text)))
		config_error(p, token, "pci longer than %u characters", (unsigned)sizeof(text) - 1);
	else if (!take_fields(p, token, &pci, text))
		return;
	else if (!(pci.given & CONFIG_PCI_NAMED))
		config_error(p, token, "pci names no function");
	else if (config_find_pci(c, pci.segment, pci.bdf))
		config_error(p, token, "pci %04x:%02x:%02x.%x given twice", pci.segment,
			     pci.bdf >> 8, pci.bdf >> 3 & DEVICE_MAX, pci.bdf & FUNCTION_MAX);
	else
		c->pci[c->n_pci++] = pci;
}

/* What the whole file says holds for those that do not say; it may stand behind them. */
void config_pci_finish(struct domain_config *c)
{
	for (unsigned i = 0; i < c->n_pci; i++) {
		c->pci[i].flags |= (uint8_t)(c->pci_usual & ~c->pci[i].given);
		c->pci[i].given = 0xff;
	}
}

/* config_vif.c: one interface of a domain file, as xl-network-configuration(5) writes it.
 *
 * Fields KEY=VALUE parted by commas, in any order; none is needed. Errors point at the column of the field. Not here:
 * whether the bridge exists, and what the backend makes of the addresses. Pure. Callers: domain_config.c, control_net.c,
 * restore_config.c. Calls string.h.
 */
#include <amphi/domain_config.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "config_parse.h"

#define MTU_MIN         68u
#define MTU_MAX         65521u
#define BRIDGE_NAME_MAX 15u
#define VLAN_MAX        4094u
#define RATE_MAX        (1ull << 40) /* bytes a second */
#define RATE_US_MAX     4000000000ull
#define US_PER_SECOND   1000000u

static bool hex_digit(char c, unsigned *out)
{
	if (c >= '0' && c <= '9')
		*out = (unsigned)(c - '0');
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		*out = (unsigned)((c | 0x20) - 'a' + 10);
	else
		return false;
	return true;
}

bool config_mac(const char *text, uint8_t out[CONFIG_MAC_BYTES])
{
	unsigned i, high = 0, low = 0;

	for (i = 0; i < CONFIG_MAC_BYTES; i++, text += 3) {
		if (!hex_digit(text[0], &high) || !hex_digit(text[1], &low) ||
		    text[2] != (i + 1 < CONFIG_MAC_BYTES ? ':' : 0))
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return !(out[0] & 1);
}

/* ---- fields: NULL, or what is wrong -------------------------------------------------------- */

static const char *set_mac(struct config_vif *vif, const char *value)
{
	return config_mac(value, vif->mac) ? NULL : "is no address like 00:16:3e:01:02:03";
}

/* NAME[.VLAN][:VLAN]...; which VLANs there can be is the bridge's to say. */
static const char *set_bridge(struct config_vif *vif, const char *value)
{
	size_t len = 0;

	while (value[len] && value[len] != '.' && value[len] != ':')
		len++;
	if (!len || len > BRIDGE_NAME_MAX)
		return "is no name of 1 to 15 characters";
	for (const char *c = value + len; *c; c++)
		if (!strchr("0123456789.:", *c))
			return "is no name with VLANs behind it like xenbr0.5 or xenbr0:5:6";
	return str_copy(vif->bridge, sizeof(vif->bridge), value) ? NULL : "has too many VLANs";
}

/* The VLAN of a port that has one alone; kept apart until the bridge is known. */
static const char *set_vlan(struct config_vif *vif, const char *value)
{
	uint64_t id;

	if (!str_to_u64(value, &id) || !id || id > VLAN_MAX)
		return "is none of 1 to 4094";
	vif->vlan = (uint32_t)id;
	return NULL;
}

/* What an address may be made of; which it is, is the backend's to read. */
static const char *set_ip(struct config_vif *vif, const char *value)
{
	const char *c;

	for (c = value; *c; c++)
		if (!strchr("0123456789abcdefABCDEF.:/ ", *c))
			return "is no list of IPv4 and IPv6 addresses";
	return str_copy(vif->ip, sizeof(vif->ip), value) ? NULL : "is too long";
}

/* A number before a unit; *at is left behind it. */
static bool take_number(const char **at, uint64_t max, uint64_t *out)
{
	const char *start = *at;

	for (*out = 0; **at >= '0' && **at <= '9' && *out <= max; ++*at)
		*out = *out * 10 + (uint64_t)(**at - '0');
	return *at > start && *out <= max;
}

static uint64_t take_scale(const char **at)
{
	static const char letters[] = "KMG";
	uint64_t scale = 1000;
	unsigned i;

	for (i = 0; letters[i]; i++, scale *= 1000)
		if (**at == letters[i]) {
			++*at;
			return scale;
		}
	return 1;
}

/* "@20ms": how often what is granted is renewed. */
static bool take_interval(const char *at, uint64_t *out_us)
{
	uint64_t n;

	*out_us = CONFIG_RATE_USUAL_US;
	if (!*at)
		return true;
	if (*at++ != '@' || !take_number(&at, RATE_US_MAX, &n))
		return false;
	if (!strcmp(at, "us"))
		*out_us = n;
	else if (!strcmp(at, "ms"))
		*out_us = n * 1000;
	else if (!strcmp(at, "s"))
		*out_us = n * US_PER_SECOND;
	else
		return false;
	return *out_us && *out_us <= RATE_US_MAX;
}

/* "10Mb/s", "1GB/s@20ms": bits or bytes, of 1000. */
static const char *set_rate(struct config_vif *vif, const char *value)
{
	static const char why[] = "is no rate like 10Mb/s, 1GB/s or 10Mb/s@20ms";
	const char *at = value;
	uint64_t n, us;

	if (!take_number(&at, RATE_MAX, &n))
		return why;
	n *= take_scale(&at);
	if (*at != 'b' && *at != 'B')
		return why;
	n /= *at++ == 'b' ? 8 : 1;
	if (!str_starts(at, "/s") || !take_interval(at + 2, &us) || !n || n > RATE_MAX)
		return why;
	vif->rate_us = (uint32_t)us;
	vif->rate_bytes = MAX(n / US_PER_SECOND * us + n % US_PER_SECOND * us / US_PER_SECOND, 1u);
	return NULL;
}

static const char *set_mtu(struct config_vif *vif, const char *value)
{
	uint64_t mtu;

	if (!str_to_u64(value, &mtu) || mtu < MTU_MIN || mtu > MTU_MAX)
		return "is none of 68 to 65521";
	vif->mtu = (uint32_t)mtu;
	return NULL;
}

static const char *set_backend(struct config_vif *vif, const char *value)
{
	uint64_t number;

	vif->backend[0] = 0;
	if (!value[0] || !strcmp(value, "0") || !strcmp(value, "Domain-0"))
		return NULL;
	if (str_to_u64(value, &number))
		return "is a number: say the domain's name";
	return str_copy(vif->backend, sizeof(vif->backend), value) ? NULL : "is too long";
}

static const char *set_trusted(struct config_vif *vif, const char *value)
{
	vif->untrusted = !strcmp(value, "0");
	return vif->untrusted || !strcmp(value, "1") ? NULL : "is neither 0 nor 1";
}

/* For keys that say how dom0 shall do its work: files made for xl have them. */
static const char *set_nothing(struct config_vif *vif, const char *value)
{
	(void)vif, (void)value;
	return NULL;
}

/* ioemu is a device model's interface, and there is none. */
static const char *set_type(struct config_vif *vif, const char *value)
{
	(void)vif;
	return strcmp(value, "vif") ? "is not supported: only vif is" : NULL;
}

static const struct vif_field {
	const char *name;
	const char *(*set)(struct config_vif *vif, const char *value);
} fields[] = {
    {"mac", set_mac},         {"bridge", set_bridge},   {"vlan", set_vlan},
    {"ip", set_ip},           {"rate", set_rate},       {"mtu", set_mtu},
    {"backend", set_backend}, {"trusted", set_trusted}, {"type", set_type},
    {"script", set_nothing},  {"vifname", set_nothing}, {"gatewaydev", set_nothing},
    {"model", set_nothing},   {"accel", set_nothing},
};

/* ---- the whole ----------------------------------------------------------------------------- */

static const struct vif_field *find_field(const char *name)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (!strcmp(fields[i].name, name))
			return &fields[i];
	return NULL;
}

static bool take_field(struct config_parser *p, const struct token *at, struct config_vif *vif,
		       char *field)
{
	char *equals = strchr(field, '=');
	const struct vif_field *f;
	const char *why;

	if (!equals) {
		config_error(p, at, "vif field '%s' is not KEY=VALUE", field);
		return false;
	}
	*equals = 0;
	f = find_field(field);
	if (!f) {
		config_error(p, at, "unknown vif key '%s'", field);
		return false;
	}
	why = f->set(vif, equals + 1);
	if (why)
		config_error(p, at, "vif %s '%s' %s", field, equals + 1, why);
	return !why;
}

/* The first error of an interface is told, and the others not. */
static bool take_fields(struct config_parser *p, const struct token *token, struct config_vif *vif,
			char *text)
{
	char *field = text, *comma;
	struct token at;

	while (field) { /* each step eats a field */
		while (*field == ' ')
			field++;
		comma = strchr(field, ',');
		if (comma)
			*comma = 0;
		at = *token;
		at.column += 1 + (unsigned)(field - text);
		if (*field && !take_field(p, &at, vif, field))
			return false;
		field = comma ? comma + 1 : NULL;
	}
	return true;
}

static uint32_t free_devid(const struct domain_config *c)
{
	uint32_t devid = 0;
	unsigned i;

	for (i = 0; i < c->n_vifs; i++)
		if (c->vifs[i].devid == devid) {
			devid++;
			i = (unsigned)-1; /* from the beginning: at most n_vifs times */
		}
	return devid;
}

/* Xen's own range of addresses; the rest by the domain's name, so that it is the same at each start. */
static void usual_mac(const struct domain_config *c, struct config_vif *vif)
{
	uint64_t hash = 0xcbf29ce484222325ull + vif->devid;
	const char *s;

	for (s = c->name; *s; s++)
		hash = (hash ^ (uint8_t)*s) * 0x100000001b3ull;
	vif->mac[0] = 0;
	vif->mac[1] = 0x16;
	vif->mac[2] = 0x3e;
	vif->mac[3] = (uint8_t)(hash >> 40 & 0x7f);
	vif->mac[4] = (uint8_t)(hash >> 24);
	vif->mac[5] = (uint8_t)(hash >> 8);
}

void config_vif_finish(struct domain_config *c)
{
	static const uint8_t none[CONFIG_MAC_BYTES];
	unsigned i;

	for (i = 0; i < c->n_vifs; i++)
		if (!memcmp(c->vifs[i].mac, none, sizeof(none)))
			usual_mac(c, &c->vifs[i]);
}

/* What the backend is told is one word. */
static bool join_vlan(struct config_vif *vif)
{
	size_t len = strlen(vif->bridge);

	if (!vif->vlan)
		return true;
	if (strchr(vif->bridge, '.') || strchr(vif->bridge, ':'))
		return false;
	fmt_text(vif->bridge + len, sizeof(vif->bridge) - len, ".%u", vif->vlan);
	vif->vlan = 0;
	return true;
}

void config_add_vif(struct config_parser *p, const struct token *token)
{
	struct domain_config *c = p->out;
	struct config_vif *vif = &c->vifs[c->n_vifs];
	char text[2 * CONFIG_SPEC_MAX];

	if (c->n_vifs == CONFIG_MAX_VIFS) {
		config_error(p, token, "more than %u vifs", CONFIG_MAX_VIFS);
		return;
	}
	if (!token_text(token, text, sizeof(text))) {
		config_error(p, token, "vif longer than %u characters", (unsigned)sizeof(text) - 1);
		return;
	}
	*vif = (struct config_vif){.devid = free_devid(c), .bridge = CONFIG_BRIDGE_USUAL};
	if (!take_fields(p, token, vif, text))
		return;
	if (join_vlan(vif))
		c->n_vifs++;
	else
		config_error(p, token, "vif vlan %u, and VLANs in bridge '%s'", vif->vlan,
			     vif->bridge);
}

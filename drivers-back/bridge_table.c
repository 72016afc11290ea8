/* bridge_table.c: a bounded table of addresses that forgets the oldest.
 *
 * Contract: bridge_table.h. A set that is full gives up the entry that was heard longest ago: with a hash that nobody
 * outside knows, and a bound for each guest's port, no guest can push out its neighbours' by choice.
 */
#include <amphi/string.h>
#include "bridge_table.h"

#define SWEEP_MS 1000u

table_key table_key_of(const uint8_t *mac, unsigned vlan)
{
	table_key key = 0;

	memcpy(&key, mac, NET_MAC_BYTES);
	return key | (uint64_t)vlan << 48;
}

static struct table_entry *set_of(const struct bridge_table *t, table_key key)
{
	uint64_t hash = (key ^ t->seed) * 0x9e3779b97f4a7c15ull;

	hash = (hash ^ hash >> 29 ^ t->seed >> 7) * 0xbf58476d1ce4e5b9ull;
	return (struct table_entry *)t->entries[(hash >> 40) % TABLE_SETS];
}

static bool is_old(const struct table_entry *e, uint32_t now_ms, uint32_t ms)
{
	return now_ms - e->heard_ms > ms;
}

static void entry_clear(struct table_entry *e)
{
	e->port->n_addresses--;
	*e = (struct table_entry){0};
}

/* Empty, or what was heard longest ago. */
static struct table_entry *set_victim(struct table_entry *set, uint32_t now_ms)
{
	struct table_entry *oldest = set;
	unsigned way;

	for (way = 0; way < TABLE_WAYS; way++) {
		if (!set[way].key)
			return &set[way];
		if (now_ms - set[way].heard_ms > now_ms - oldest->heard_ms)
			oldest = &set[way];
	}
	return oldest;
}

/* Takes old entries from who has all it may have; not for each of a thousand frames. */
static void sweep(struct bridge_table *t, uint32_t now_ms)
{
	struct table_entry *e = t->entries[0], *end = e + BRIDGE_ADDRESSES;

	if (now_ms - t->swept_ms < SWEEP_MS)
		return;
	t->swept_ms = now_ms;
	for (; e < end; e++)
		if (e->key && is_old(e, now_ms, BRIDGE_AGE_MS))
			entry_clear(e);
}

static enum table_heard learn(struct bridge_table *t, struct table_entry *set, table_key key,
			      struct table_port *port, uint32_t now_ms)
{
	struct table_entry *e;

	if (port->n_addresses >= port->max_addresses)
		sweep(t, now_ms);
	if (port->n_addresses >= port->max_addresses)
		return TABLE_TOO_MANY;
	e = set_victim(set, now_ms);
	if (e->key)
		entry_clear(e);
	*e = (struct table_entry){key, port, now_ms};
	port->n_addresses++;
	return TABLE_KNOWN;
}

enum table_heard table_hear(struct bridge_table *t, table_key key, struct table_port *port,
			    uint32_t now_ms)
{
	struct table_entry *set = set_of(t, key);
	unsigned way;

	for (way = 0; way < TABLE_WAYS; way++) {
		if (set[way].key != key)
			continue;
		if (set[way].port != port && !is_old(&set[way], now_ms, BRIDGE_HOLD_MS))
			return TABLE_ELSEWHERE;
		if (set[way].port == port) {
			set[way].heard_ms = now_ms;
			return TABLE_KNOWN;
		}
		entry_clear(&set[way]);
		break;
	}
	return learn(t, set, key, port, now_ms);
}

struct table_port *table_find(const struct bridge_table *t, table_key key, uint32_t now_ms)
{
	const struct table_entry *set = set_of(t, key);
	unsigned way;

	for (way = 0; way < TABLE_WAYS; way++)
		if (set[way].key == key)
			return is_old(&set[way], now_ms, BRIDGE_AGE_MS) ? NULL : set[way].port;
	return NULL;
}

void table_forget(struct bridge_table *t, struct table_port *port)
{
	struct table_entry *e = t->entries[0], *end = e + BRIDGE_ADDRESSES;

	for (; e < end; e++)
		if (e->key && e->port == port)
			entry_clear(e);
}

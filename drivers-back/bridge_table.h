/* bridge_table.h: which port of a bridge an address was last heard at.
 *
 * Private to drivers-back; callers: bridge.c and its test. Implemented by bridge_table.c. Pure but for the table; worker
 * context. Sets of four ways: bounded, no memory asked for, and a lookup looks at one cache line.
 */
#ifndef DRIVERS_BACK_BRIDGE_TABLE_H
#define DRIVERS_BACK_BRIDGE_TABLE_H

#include <amphi/bridge.h>

#define TABLE_WAYS 4u
#define TABLE_SETS (BRIDGE_ADDRESSES / TABLE_WAYS)

struct table_port {
	unsigned n_addresses, max_addresses;
};

/* An address and its tag's id in one number, 0: none. */
typedef uint64_t table_key;
struct table_entry {
	table_key key;
	struct table_port *port;
	uint32_t heard_ms; /* wraps after 49 days, and nothing is kept so long */
};

struct bridge_table {
	uint64_t seed; /* of the hash: which addresses share a set is not for a guest to choose */
	uint32_t swept_ms;
	struct table_entry entries[TABLE_SETS][TABLE_WAYS];
};

enum table_heard {
	TABLE_KNOWN,     /* at this port, now or from now on */
	TABLE_ELSEWHERE, /* another port has it, and was heard within BRIDGE_HOLD_MS */
	TABLE_TOO_MANY,  /* the port has all that it may have */
};

table_key table_key_of(const uint8_t *mac, unsigned vlan);
/* key was the source of a frame that came in at port. */
enum table_heard table_hear(struct bridge_table *t, table_key key, struct table_port *port,
			    uint32_t now_ms);
/* NULL: not known, or too old. */
struct table_port *table_find(const struct bridge_table *t, table_key key, uint32_t now_ms);
/* A port that is gone. */
void table_forget(struct bridge_table *t, struct table_port *port);

#endif

/* block_part.c: the memory of the block layer's requests.
 *
 * Contract: block_part.h. Calls host.h for memory. What is taken stays with its disk until that goes, so a disk
 * under steady load allocates nothing.
 */
#include <amphi/host.h>
#include <amphi/string.h>

#include "block_part.h"

#define GROUP_PARTS 8u

struct part_group {
	struct part_group *next;
	struct part parts[GROUP_PARTS];
};
_Static_assert(sizeof(struct part_group) <= PAGE_SIZE, "a page has room for them");

static void part_init(struct part_stock *stock, struct part *part)
{
	part->req.done = stock->done;
	part->req.segments = part->own_segments;
	part->pieces = part->own_pieces;
	part->owner = stock->owner;
	part->next = stock->free;
	stock->free = part;
}

void part_stock_grow(struct part_stock *stock)
{
	struct part_group *group;

	if (stock->n_parts == stock->depth)
		return;
	group = host_alloc(sizeof(*group));
	if (!group)
		return;
	group->next = stock->groups;
	stock->groups = group;
	for (unsigned i = 0; i < GROUP_PARTS && stock->n_parts < stock->depth; i++) {
		part_init(stock, &group->parts[i]);
		stock->n_parts++;
	}
}

bool part_stock_begin(struct part_stock *stock, unsigned depth, unsigned max_segments)
{
	stock->depth = MIN(MAX(depth, 1u), PARTS_MAX);
	stock->max_segments = max_segments;
	stock->own_room = MIN(max_segments, PART_SEGMENTS);
	part_stock_grow(stock);
	return stock->free != NULL;
}

static size_t table_size(const struct part_stock *stock)
{
	return sizeof(struct part_table) +
	       stock->max_segments * (sizeof(struct block_segment) + sizeof(struct block_piece *));
}

void part_stock_end(struct part_stock *stock)
{
	struct part_table *table;
	struct part_group *group;

	while ((table = stock->tables)) {
		stock->tables = table->next;
		host_free(table, table_size(stock));
	}
	while ((group = stock->groups)) {
		stock->groups = group->next;
		host_free(group, sizeof(*group));
	}
}

static struct part_table *table_new(struct part_stock *stock)
{
	struct part_table *table;

	if (stock->n_tables == TABLES_MAX)
		return NULL;
	table = host_alloc(table_size(stock));
	if (!table)
		return NULL;
	table->pieces = (struct block_piece **)(table->segments + stock->max_segments);
	stock->n_tables++;
	return table;
}

bool part_lengthen(struct part_stock *stock, struct part *part, unsigned limit)
{
	struct part_table *table = stock->tables;

	if (part->table || limit <= part->room)
		return false;
	if (table)
		stock->tables = table->next;
	else
		table = table_new(stock);
	if (!table)
		return false;
	memcpy(table->segments, part->own_segments, part->room * sizeof(part->own_segments[0]));
	memcpy(table->pieces, part->own_pieces, part->room * sizeof(part->own_pieces[0]));
	part->table = table;
	part->req.segments = table->segments;
	part->pieces = table->pieces;
	part->room = limit;
	return true;
}

void part_table_put(struct part_stock *stock, struct part *part)
{
	part->table->next = stock->tables;
	stock->tables = part->table;
	part->table = NULL;
	part->req.segments = part->own_segments;
	part->pieces = part->own_pieces;
}

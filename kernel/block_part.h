/* block_part.h: the requests that the block layer makes of pieces, and the memory they are made in.
 *
 * Caller: block.c alone, in the worker. Most requests are of few segments and most disks have few in flight, so a
 * part has room for 14, and parts come a page at a time, up to as many as the disk takes. A request that grows
 * longer borrows a table from a stock which is small, as what moves a MiB at once needs few at once. Shortage is
 * no error: the first parts are made when the disk is registered, and without a table requests are shorter.
 */
#ifndef KERNEL_BLOCK_PART_H
#define KERNEL_BLOCK_PART_H

#include "block.h"

#define PART_SEGMENTS 14u  /* of a part's own, and pieces; eight parts and their links fit a page */
#define PARTS_MAX     512u /* of a disk: as many slots as a ring of 16 pages has */
#define TABLES_MAX    64u  /* of a disk: 512 KiB where a request has 256 segments */

/* Room for as many segments, and pieces, as the disk takes in a request. */
struct part_table {
	struct part_table *next; /* in the stock */
	struct block_piece **pieces;
	struct block_segment segments[];
};

/* A request and the pieces it carries parts of: at most one more with each segment. */
struct part {
	struct block_request req;
	void *owner; /* part_stock_begin's */
	struct part *next;
	unsigned n_pieces, room; /* room: of segments, and of pieces */
	struct block_piece **pieces;
	struct part_table *table; /* NULL: segments and pieces are these */
	struct block_segment own_segments[PART_SEGMENTS];
	struct block_piece *own_pieces[PART_SEGMENTS];
};

struct part_group;

struct part_stock {
	struct part *free;
	struct part_table *tables; /* free ones */
	struct part_group *groups;
	unsigned n_parts, depth;
	unsigned n_tables;
	unsigned own_room, max_segments;
	void *owner;
	void (*done)(struct block_request *req, int status); /* of every request */
};

/* For at most depth parts of at most max_segments each. False: no memory for the first. */
bool part_stock_begin(struct part_stock *stock, unsigned depth, unsigned max_segments);
/* All parts are back. */
void part_stock_end(struct part_stock *stock);

/* More parts into the stock, when it is empty and there may be more. */
void part_stock_grow(struct part_stock *stock);

/* NULL: as many are in flight as there may be, or as there is memory for. What it carries is the
 * caller's to set, room first: own_room at most. */
static inline struct part *part_take(struct part_stock *stock)
{
	struct part *part = stock->free;

	if (!part) {
		part_stock_grow(stock);
		part = stock->free;
		if (!part)
			return NULL;
	}
	stock->free = part->next;
	return part;
}

void part_table_put(struct part_stock *stock, struct part *part);

static inline void part_put(struct part_stock *stock, struct part *part)
{
	if (part->table)
		part_table_put(stock, part);
	part->next = stock->free;
	stock->free = part;
}

/* Gives a part that is full room for as many as limit allows, and keeps what is in it. False: there is no
 * table, or it has one. */
bool part_lengthen(struct part_stock *stock, struct part *part, unsigned limit);

#endif

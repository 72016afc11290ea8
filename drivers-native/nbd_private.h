/* nbd_private.h: a disk of an NBD server and its connections; private to drivers-native/nbd*.c.
 *
 * nbd.c has the disks: their names, what waits, when to connect again. nbd_conn.c agrees with a server on a new connection, nbd_io.c
 * sends requests and takes replies on one that is ready. Numbers on the wire are big-endian. Worker context.
 */
#ifndef DRIVERS_NATIVE_NBD_PRIVATE_H
#define DRIVERS_NATIVE_NBD_PRIVATE_H

#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/host_tcp.h>
#include <amphi/nbd.h>

#define NBD_SLOTS      32u  /* requests on the way on one connection */
#define NBD_SMALL      512u /* the longest piece of a handshake or reply that is taken as a whole */
#define NBD_HEAD       28u  /* a request, before its data */
#define NBD_EXPORT_MAX 128u

/* A request on a connection. generation makes the cookie of a reply that comes too late, or twice, known as such. */
struct nbd_slot {
	struct block_request *req; /* NULL: free */
	uint32_t generation;
	uint64_t sent_ns;
	uint64_t left; /* bytes of a read that have not come yet */
	uint64_t
	    trimmed; /* bytes of a discard that the server has done: a command takes 32 bits of them */
	int status;
};

/* A place in a request's memory. */
struct nbd_place {
	unsigned segment;
	uint32_t at;
};

struct nbd_disk;
struct nbd_conn;

/* What the connection waits for: `want` bytes into small, then take is called. With data_left, bytes go to the read's memory first. */
typedef int nbd_take_fn(struct nbd_conn *c);

struct nbd_conn {
	struct nbd_disk *disk;
	struct host_tcp *tcp; /* NULL: there is none */
	bool ready;
	bool structured, no_zeroes; /* negotiated */
	/* coming in */
	nbd_take_fn *take;
	uint32_t want, have;
	uint8_t small[NBD_SMALL];
	uint32_t skip;            /* bytes of an answer that nobody reads */
	uint32_t option;          /* the handshake's, that is being answered */
	struct nbd_slot *reading; /* whose chunk, or data, is coming in */
	uint32_t chunk_len;
	uint16_t chunk_flags, chunk_type;
	struct nbd_place in;
	uint32_t data_left;
	/* going out: the slots in the order in which they are sent */
	struct nbd_slot slots[NBD_SLOTS];
	uint8_t order[NBD_SLOTS];
	unsigned n_order, in_flight;
	uint8_t head[NBD_HEAD];
	uint32_t head_gone; /* of the first in order; and then its data, up to out */
	struct nbd_place out;
};

struct nbd_disk {
	struct nbd_disk *next;
	struct block_device dev;
	struct nbd_stats stats;
	char uri[NBD_URI_MAX], host[NBD_URI_MAX], export[NBD_EXPORT_MAX];
	uint16_t port;
	bool known;        /* a server has told what the disk is */
	bool several;      /* it takes several connections */
	int told;          /* why the last connection ended that the log tells of */
	uint64_t sequence; /* of requests: driver[0] */
	struct block_request *waiting, *waiting_tail; /* in order, on no connection */
	uint64_t away_ns; /* since when there is no connection; 0: there is one */
	unsigned backoff_ms;
	struct host_work again; /* connects what is not, and fails what waited too long */
	struct nbd_conn conns[NBD_CONNECTIONS];
};

/* nbd.c: the connection is ready / is over, and what was on it waits again. */
void nbd_ready(struct nbd_disk *disk);
void nbd_lost(struct nbd_conn *c, const char *why, int err);
/* What a server tells of its disk. false: it is another disk than it was, or one that we cannot have. */
bool nbd_learn(struct nbd_disk *disk, uint64_t size_bytes, unsigned flags);
void nbd_limits(struct nbd_disk *disk, uint32_t min_bytes, uint32_t max_bytes);
/* Gives connections that have room what waits. */
void nbd_dispatch(struct nbd_disk *disk);

/* nbd_conn.c. 0, or why no connection can be tried. */
int nbd_connect(struct nbd_conn *c);
/* The next want bytes, then take. */
void nbd_expect(struct nbd_conn *c, uint32_t want, nbd_take_fn *take);

/* nbd_io.c */
bool nbd_has_room(const struct nbd_conn *c);
void nbd_give(struct nbd_conn *c, struct block_request *req);
void nbd_push(struct nbd_conn *c);
/* Negotiated: replies come from here on. */
void nbd_begin(struct nbd_conn *c);
/* Takes up to len bytes of a read's data; returns how many. */
size_t nbd_data(struct nbd_conn *c, const uint8_t *bytes, size_t len);
/* Of a connection that is over: calls fn for each request on it, oldest first, and forgets them. */
void nbd_take_back(struct nbd_conn *c,
		   void (*fn)(struct nbd_disk *disk, struct block_request *req));
/* The oldest request on it was sent then; 0: there is none. */
uint64_t nbd_oldest_ns(const struct nbd_conn *c);

/* Big-endian numbers. */
static inline uint64_t nbd_get(const uint8_t *at, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | *at++;
	return v;
}
static inline void nbd_put(uint8_t *at, unsigned bytes, uint64_t v)
{
	while (bytes--) {
		at[bytes] = (uint8_t)v;
		v >>= 8;
	}
}

#endif

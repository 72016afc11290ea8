/* port.c: what lwIP asks of its surroundings: memory, the time, chance, sums of bytes.
 *
 * Called by lwIP under the names that port/lwipopts.h and port/arch/cc.h give it, and by kernel/net through port.h. Calls
 * host.h and lib/. Worker context.
 */
#include <amphi/host.h>
#include <amphi/net_offload.h>
#include <amphi/sha256.h>
#include <amphi/string.h>

#include <lwip/sys.h>

#include "kernel/net/port/hooks.h"
#include "port.h"

/* ---- memory ------------------------------------------------------------------------------ */

/* In front of each block, since lwIP frees without a size. While a block is kept, next is the one below it. */
struct head {
	uint32_t size, class;
	struct head *next;
};
_Static_assert(sizeof(struct head) == 16, "what is behind it is aligned");

/* Blocks of these sizes, heads and all, are kept when they are freed: a segment's header, a received pbuf, a frame's books, a
 * full segment of an Ethernet frame, and large ones (large.c). The kernel's heap gives nothing between its largest block and a page, and zeroes
 * all that it gives, which for a packet's memory is work for nothing. */
static const uint32_t kept_sizes[] = {128, 320, 768, 1984, 12288, 24576, 40960, 65536};
#define CLASSES ARRAY_SIZE(kept_sizes)
#define KEEP_OF 8u /* of the bound, an eighth is kept at most */

static struct {
	size_t limit, used, kept;
	struct head *free[CLASSES];
} mem = {.limit = 1u << 20};

void net_mem_limit(size_t limit_bytes)
{
	mem.limit = limit_bytes;
}

size_t net_mem_used(void)
{
	return mem.used;
}

bool net_mem_ample(void)
{
	return mem.used < mem.limit / 2;
}

/* The least class that holds it; CLASSES: none does. */
static uint32_t class_of(size_t size)
{
	uint32_t c;

	for (c = 0; c < CLASSES && size > kept_sizes[c]; c++)
		;
	return c;
}

void *net_mem_alloc(size_t size)
{
	uint32_t class = class_of(size += sizeof(struct head));
	struct head *h;

	size = class < CLASSES ? kept_sizes[class] : size;
	if (size > UINT32_MAX || mem.used + size > mem.limit)
		return NULL;
	h = class < CLASSES ? mem.free[class] : NULL;
	if (h) {
		mem.free[class] = h->next;
		mem.kept -= size;
	} else {
		h = host_alloc(size);
	}
	if (!h)
		return NULL;
	h->size = (uint32_t)size;
	h->class = class;
	mem.used += size;
	return h + 1;
}

void *net_mem_zeroed(size_t count, size_t size)
{
	void *p = size && count > SIZE_MAX / 2 / size ? NULL : net_mem_alloc(count * size);

	return p ? memset(p, 0, count * size) : NULL;
}

/* Gives back what is kept, but of one class, the longest first, until at most so much is. */
static void keep_at_most(size_t bytes, uint32_t but)
{
	struct head *h;

	for (uint32_t c = CLASSES; c-- > 0;)
		while (c != but && mem.kept > bytes && (h = mem.free[c])) {
			mem.free[c] = h->next;
			mem.kept -= h->size;
			host_free(h, h->size);
		}
}

/* What is used now has precedence over what was used once: segments grow while a connection lives. */
void net_mem_free(void *p)
{
	struct head *h = (struct head *)p - 1;
	size_t most = mem.limit / KEEP_OF;

	mem.used -= h->size;
	if (h->class < CLASSES && h->size <= most && mem.kept + h->size > most)
		keep_at_most(most - h->size, h->class);
	if (h->class == CLASSES || mem.kept + h->size > most) {
		host_free(h, h->size);
		return;
	}
	h->next = mem.free[h->class];
	mem.free[h->class] = h;
	mem.kept += h->size;
}

void net_mem_trim(void)
{
	keep_at_most(0, CLASSES);
}

/* ---- time -------------------------------------------------------------------------------- */

u32_t sys_now(void)
{
	return (u32_t)(host_time_ns() / 1000000);
}

/* ---- chance ------------------------------------------------------------------------------ */

/* Who sees every packet guesses nothing here that it has not seen; who does not would have to know the state, which holds all that was
 * ever stirred in. Not a source of keys: a domain that has just begun has little that nobody knows. */
static struct {
	uint8_t state[SHA256_BYTES];
	uint32_t words[SHA256_BYTES / 4];
	unsigned left;
} chance;

void net_random_stir(const void *bytes, size_t len)
{
	uint64_t now_ns = host_time_ns();
	struct sha256 h;

	sha256_init(&h);
	sha256_update(&h, chance.state, sizeof(chance.state));
	sha256_update(&h, &now_ns, sizeof(now_ns));
	sha256_update(&h, bytes, len);
	sha256_final(&h, chance.state);
	chance.left = 0;
}

/* The words given out are a hash of the state, and the state goes on to another: neither tells the other. */
uint32_t net_random(void)
{
	struct sha256 h;

	if (!chance.left) {
		net_random_stir("words", 5);
		sha256_init(&h);
		sha256_update(&h, chance.state, sizeof(chance.state));
		sha256_final(&h, (uint8_t *)chance.words);
		chance.left = ARRAY_SIZE(chance.words);
	}
	return chance.words[--chance.left];
}

/* RFC 6528: a clock of 4 microseconds, and a hash of the connection under a secret. The secret is one for the domain's life, or a
 * connection's numbers would not go upwards. */
u32_t net_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
		  u16_t remote_port)
{
	static uint8_t secret[SHA256_BYTES];
	static bool have_secret;
	uint32_t digest[SHA256_BYTES / 4];
	struct sha256 h;

	if (!have_secret) {
		net_random_stir("secret", 6);
		memcpy(secret, chance.state, sizeof(secret));
		net_random_stir("past it", 7);
		have_secret = true;
	}
	sha256_init(&h);
	sha256_update(&h, secret, sizeof(secret));
	sha256_update(&h, local_ip, sizeof(*local_ip));
	sha256_update(&h, &local_port, sizeof(local_port));
	sha256_update(&h, remote_ip, sizeof(*remote_ip));
	sha256_update(&h, &remote_port, sizeof(remote_port));
	sha256_final(&h, (uint8_t *)digest);
	return digest[0] + (u32_t)(host_time_ns() / 4096);
}

/* ---- sums -------------------------------------------------------------------------------- */

unsigned short net_chksum(const void *data, int len)
{
	return net_fold(net_sum(0, data, (size_t)len));
}

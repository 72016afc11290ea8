/* xs_client_list.c: the names in a directory, in parts when one message does not hold them.
 *
 * Each part tells the directory's generation: when it changes between two parts, the list is
 * begun again. Callers: kernel/host_store.c. Calls xs_client.c.
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include "xs_client_impl.h"

#define TRIES 8u /* a directory that changes all the time is given up as EAGAIN */

struct listing {
	struct xs_client *client;
	uint32_t tx;
	const char *path;
	char *out;
	size_t cap, used;
	char generation[24];
	char *part; /* one reply */
	size_t part_cap;
};

/* Callers walk the names by their NULs, so a last name without one is refused here. */
static int count_names(const char *names, size_t len)
{
	int count = 0;

	if (len && names[len - 1])
		return -XEN_EIO; /* the last one has no end */
	for (size_t i = 0; i < len; i++)
		count += !names[i];
	return count;
}

/* Takes the names of one reply. 1: there are more; 0: that was the last; -XEN_EAGAIN: changed. */
static int take_part(struct listing *l, size_t len)
{
	struct xs_reader texts = {l->part, len};
	const char *generation = xs_next_text(&texts);
	bool end;

	/* What a part looks like:
	 *
	 *    a reply:   "generation\0" "name\0" "name\0" ... [ "\0" when it is the last part ]
	 *
	 * An empty name is none, so the second NUL in a row can only be the end's
	 * (xenstore.txt). */
	if (!generation || !texts.left || texts.at[texts.left - 1])
		return -XEN_EIO;
	if (!l->used && !str_copy(l->generation, sizeof(l->generation), generation))
		return -XEN_EIO;
	/* Offsets count bytes of a list that is no more: names would be cut or left out. */
	if (strcmp(l->generation, generation))
		return -XEN_EAGAIN;
	end = texts.left == 1 || !texts.at[texts.left - 2];
	if (end)
		texts.left--;
	if (l->used + texts.left > l->cap)
		return -XEN_E2BIG;
	memcpy(l->out + l->used, texts.at, texts.left);
	l->used += texts.left;
	return !end;
}

/* The next part begins where the names so far end: the offset counts bytes of the whole list. */
static int list_once(struct listing *l)
{
	int status = 1;
	char offset[12];

	for (l->used = 0; status > 0;) {
		struct xs_call call = {XS_DIRECTORY_PART, l->tx, .text = {l->path, offset},
				       .out = l->part, .cap = l->part_cap};

		fmt_text(offset, sizeof(offset), "%u", (unsigned)l->used);
		status = xs_client_call(l->client, &call);
		if (status >= 0)
			status = take_part(l, (size_t)status);
	}
	return status;
}

/* A reply is at most XENSTORE_PAYLOAD_MAX (a page) and the client adds a NUL: two pages hold
 * both. */
static int list_in_parts(struct listing *l)
{
	int status = -XEN_EAGAIN;

	l->part_cap = 2 * PAGE_SIZE;
	l->part = host_pages_alloc(2);
	if (!l->part)
		return -XEN_ENOMEM;
	for (unsigned i = 0; i < TRIES && status == -XEN_EAGAIN; i++)
		status = list_once(l);
	host_pages_free(l->part, 2);
	return status ? status : count_names(l->out, l->used);
}

int xs_client_list(struct xs_client *client, uint32_t tx, const char *path, char *out, size_t cap)
{
	struct xs_call call = {XS_DIRECTORY, tx, .text = {path}, .out = out, .cap = cap};
	struct listing l = {.client = client, .tx = tx, .path = path, .out = out, .cap = cap};
	int status = xs_client_call(client, &call);

	if (status >= 0)
		return count_names(out, (size_t)status);
	/* Too long for one message: or only for the caller, who may have room for just the names.
	 */
	return status == -XEN_E2BIG ? list_in_parts(&l) : status;
}

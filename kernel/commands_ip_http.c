/* commands_ip_http.c: the shell's commands fetch and httpd.
 *
 * Caller: shell.c. Calls net/http.h in the worker. The server gives the domain's state at /, and disks by their names at /disk/NAME, which is
 * why it only runs when it is asked for; it goes on behind the shell until httpd off.
 */
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/printf.h>
#include <amphi/sha256.h>
#include <amphi/string.h>
#include "block.h"
#include "block_use.h"
#include "cmdline.h"
#include "commands.h"
#include "commands_ip_wait.h"
#include "console.h"
#include "kernel/net/http.h"
#include "mm.h"
#include "shell.h"
#include "time.h"
#include "worker.h"

#define ULL(x)      ((unsigned long long)(x))
#define PORT_HTTP   80u
#define STATE_MAX   4096u
#define DISK_PREFIX "/disk/"

/* ---- fetch ------------------------------------------------------------------------------------ */

struct fetch {
	const char *url;
	struct http_fetch *http;
	struct sha256 hash;
	uint64_t length;
	unsigned code;
	struct net_wait wait;
};

static void body(void *ctx, const void *bytes, size_t len)
{
	struct fetch *f = ctx;

	sha256_update(&f->hash, bytes, len);
	f->length += len;
}

static void ended(void *ctx, int status, unsigned code)
{
	struct fetch *f = ctx;

	f->code = code;
	net_wait_end(&f->wait, status);
}

static int fetch_begin(void *ctx)
{
	static const struct http_fetch_ops ops = {body, ended};
	struct fetch *f = ctx;

	return http_fetch_begin(f->url, &ops, f, &f->http);
}

static int fetch_end(void *ctx)
{
	http_fetch_free(((struct fetch *)ctx)->http);
	return 0;
}

/* Any answer but 200 is a failure: what came with it is not what was asked for. */
static int fetch(int argc, char **argv)
{
	struct fetch f = {.url = argv[1]};
	uint8_t digest[SHA256_BYTES];
	char hex[SHA256_HEX_CHARS];
	uint64_t start_ns;
	int error;

	if (argc != 2)
		return -XEN_EINVAL;
	error = net_wait_ready();
	sha256_init(&f.hash);
	start_ns = time_ns();
	if (!error)
		error = worker_call(fetch_begin, &f);
	if (error)
		return error;
	error = net_wait(&f.wait, 0);
	(void)worker_call(fetch_end, &f);
	if (error)
		return error;
	sha256_final(&f.hash, digest);
	sha256_hex(digest, hex);
	console_printf("@fetch %s code=%u bytes=%llu ns=%llu sha256=%s\n", f.url, f.code,
		       ULL(f.length), ULL(time_ns() - start_ns), hex);
	return f.code == 200 ? 0 : -XEN_ENOENT;
}

/* ---- what is served ---------------------------------------------------------------------------- */

/* The domain's state, made when it is asked for. */
struct state_page {
	char text[STATE_MAX];
};

static struct state_page *page_being_made;

static void state_line(const char *text)
{
	char *out = page_being_made->text;
	size_t at = strlen(out);

	(void)fmt_text(out + at, STATE_MAX - at, "%s\n", text);
}

static void page_read(struct http_content *content, uint64_t offset, void *buf, uint32_t len)
{
	memcpy(buf, ((struct state_page *)content->ctx)->text + offset, len);
	http_content_done(content, 0);
}

static void page_close(struct http_content *content)
{
	kfree(content->ctx, sizeof(struct state_page));
}

static int open_state(struct http_content *out)
{
	struct state_page *page = kmalloc(sizeof(*page));
	char line[160];

	if (!page)
		return -XEN_ENOMEM;
	page_being_made = page;
	(void)fmt_text(line, sizeof(line), "amphi %s\nup %llu ms\nmemory %llu KiB, free %llu KiB",
		       cmdline.name, ULL(time_ns() / NS_PER_MS), ULL(pages_total_count() * 4),
		       ULL(pages_free_count() * 4));
	state_line(line);
	net_show_addresses(state_line);
	net_show_routes(state_line);
	*out = (struct http_content){.length = strlen(page->text),
				     .type = "text/plain",
				     .read = page_read,
				     .close = page_close,
				     .ctx = page};
	return 0;
}

/* One read of a disk; the content has one at a time. */
struct disk_file {
	struct block_use disk;
	struct block_piece piece;
	struct http_content *content;
};

static void disk_done(struct block_piece *piece, int status)
{
	struct disk_file *file = piece->ctx;

	http_content_done(file->content, status);
}

static void disk_read(struct http_content *content, uint64_t offset, void *buf, uint32_t len)
{
	struct disk_file *file = content->ctx;

	file->content = content;
	if (!file->disk.dev) {
		http_content_done(content, -XEN_ENODEV);
		return;
	}
	file->piece = (struct block_piece){.op = BLOCK_READ,
					   .sector = offset / SECTOR_SIZE,
					   .va = buf,
					   .len_bytes = len,
					   .done = disk_done,
					   .ctx = file};
	block_submit(file->disk.dev, &file->piece);
	block_kick(file->disk.dev);
}

static void disk_close(struct http_content *content)
{
	struct disk_file *file = content->ctx;

	block_use_end(&file->disk);
	kfree(file, sizeof(*file));
}

/* A whole number of sectors, as pieces are: no piece ends within one. */
static int open_disk(const char *name, struct http_content *out)
{
	struct block_device *dev = block_find(name);
	struct disk_file *file = dev ? kmalloc(sizeof(*file)) : NULL;

	if (!file)
		return dev ? -XEN_ENOMEM : -XEN_ENOENT;
	block_use_begin(&file->disk, dev);
	*out = (struct http_content){.length = dev->sectors * SECTOR_SIZE,
				     .type = "application/octet-stream",
				     .read = disk_read,
				     .close = disk_close,
				     .ctx = file};
	return 0;
}

static int open_path(void *ctx, const char *path, struct http_content *out)
{
	if (!strcmp(path, "/"))
		return open_state(out);
	if (str_starts(path, DISK_PREFIX))
		return open_disk(path + strlen(DISK_PREFIX), out);
	return -XEN_ENOENT;
}

/* ---- httpd ------------------------------------------------------------------------------------- */

static struct http_server *server;

struct httpd {
	uint16_t port;
	uint64_t requests, bytes;
};

static int httpd_start(void *ctx)
{
	struct httpd *h = ctx;

	return server ? -XEN_EBUSY : http_server_start(h->port, open_path, NULL, &server);
}

static int httpd_stop(void *ctx)
{
	struct httpd *h = ctx;

	if (!server)
		return -XEN_ENOENT;
	http_server_count(server, &h->requests, &h->bytes);
	http_server_stop(server);
	server = NULL;
	return 0;
}

static int httpd(int argc, char **argv)
{
	struct httpd h = {.port = PORT_HTTP};
	uint64_t port;
	int error;

	if (argc == 2 && !strcmp(argv[1], "off")) {
		error = worker_call(httpd_stop, &h);
		if (!error)
			console_printf("@httpd requests=%llu bytes=%llu\n", ULL(h.requests),
				       ULL(h.bytes));
		return error;
	}
	if (argc > 2 || (argc == 2 && (!str_to_u64(argv[1], &port) || !port || port > 65535)))
		return -XEN_EINVAL;
	if (argc == 2)
		h.port = (uint16_t)port;
	error = net_wait_ready();
	if (!error)
		error = worker_call(httpd_start, &h);
	if (!error)
		console_printf("serves at port %u\n", h.port);
	return error;
}

void commands_ip_http_add(void)
{
	static const struct shell_command table[] = {
	    {"fetch", "URL", "gets a file by HTTP and prints its digest", fetch},
	    {"httpd", "[PORT] | off", "serves this domain's state, and its disks", httpd},
	};

	shell_add(table, ARRAY_SIZE(table));
}

/* console.c: who may write to the machine's console, our own lines on it, and input for the first
 * domain.
 *
 * The first domain's output goes through unchanged; others have none unless guest_console is given.
 * Our own lines begin with "[hv] ", always at the start of a line: when a domain's line is open, it
 * is broken. They are kept in a ring besides, for sysctl readconsole. Callers: everybody. One lock,
 * taken last of all; a panic does not wait for it.
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include "boot.h"
#include "console.h"
#include "cpu.h"
#include "domain.h"
#include "guest.h"
#include "percpu.h"
#include "serial.h"

#define LINE_MAX  240u
#define LOG_BYTES 8192u /* powers of two */
#define IN_BYTES  256u
#define CHUNK     128u
#define WRITE_MAX 65536u

static spinlock_t lock;
static bool line_open; /* the last byte out was not a newline */
static bool guest_console;
static bool panicking;
static char log_ring[LOG_BYTES];
static uint32_t log_written, log_cleared;
static char in_ring[IN_BYTES];
static uint32_t in_written, in_taken;

static void put(const char *text, size_t n)
{
	if (n == 0)
		return;
	serial_put(text, n);
	line_open = text[n - 1] != '\n';
}

static void put_line(const char *fmt, va_list args)
{
	char line[LINE_MAX] = "[hv] ";
	size_t n;

	fmt_vtext(line + 5, sizeof(line) - 6, fmt, args);
	n = strlen(line);
	line[n++] = '\n';
	if (!panicking)
		spin_lock(&lock);
	if (line_open)
		put("\n", 1);
	put(line, n);
	for (size_t i = 0; i < n; i++)
		log_ring[log_written++ % LOG_BYTES] = line[i];
	if (!panicking)
		spin_unlock(&lock);
}

void hv_printk(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put_line(fmt, args);
	va_end(args);
}

void hv_panic(const char *fmt, ...)
{
	va_list args;

	panicking = true;
	hv_printk("the hypervisor stops:");
	va_start(args, fmt);
	put_line(fmt, args);
	va_end(args);
	machine_stop();
}

/* Places are compared by how far they lie behind the last byte; one that is none is before all that is kept. */
uint32_t console_read_log(char *out, uint32_t cap, uint32_t *from, bool clear)
{
	uint32_t behind, n;

	spin_lock(&lock);
	behind = MIN(MIN(log_written - log_cleared, LOG_BYTES), log_written - *from);
	n = MIN(behind, cap);
	*from = log_written - behind;
	for (uint32_t i = 0; i < n; i++)
		out[i] = log_ring[(*from)++ % LOG_BYTES];
	if (clear)
		log_cleared = log_written;
	spin_unlock(&lock);
	return n;
}

/* ---- input ----------------------------------------------------------------------------- */

/* A full ring drops what comes: nobody reads. */
static void typed(char c)
{
	if (in_written - in_taken < IN_BYTES)
		in_ring[in_written++ % IN_BYTES] = c;
	event_send_global_virq(VIRQ_CONSOLE);
}

/* ---- the hypercall --------------------------------------------------------------------- */

static long console_write(const struct domain *d, uint64_t buf_va, uint64_t n)
{
	char chunk[CHUNK];

	if (!d->privileged && !guest_console)
		return -XEN_EPERM;
	if (n > WRITE_MAX)
		return -XEN_E2BIG;
	while (n != 0) {
		uint32_t part = (uint32_t)MIN(n, CHUNK);

		if (guest_copy_from(chunk, buf_va, part) != 0)
			return -XEN_EFAULT;
		spin_lock(&lock);
		put(chunk, part);
		spin_unlock(&lock);
		buf_va += part;
		n -= part;
		if (n != 0 && hypercall_preempt())
			return hypercall_restart(CONSOLEIO_write, n, buf_va, 0);
	}
	return 0;
}

/* The bytes are taken only when the guest has them. */
static long console_read(const struct domain *d, uint64_t buf_va, uint64_t n)
{
	char chunk[CHUNK];
	uint32_t have;

	if (!d->privileged)
		return -XEN_EPERM;
	spin_lock(&lock);
	have = (uint32_t)MIN(MIN(n, CHUNK), in_written - in_taken);
	for (uint32_t i = 0; i < have; i++)
		chunk[i] = in_ring[(in_taken + i) % IN_BYTES];
	spin_unlock(&lock);
	if (guest_copy_to(buf_va, chunk, have) != 0)
		return -XEN_EFAULT;
	in_taken += have;
	return have;
}

long hc_console_io(uint64_t cmd, uint64_t count, uint64_t buf_va)
{
	struct domain *d = current_domain();

	/* The ABI has both as C ints. */
	if ((int32_t)count < 0)
		return -XEN_EINVAL;
	if ((uint32_t)cmd == CONSOLEIO_write)
		return console_write(d, buf_va, (uint32_t)count);
	if ((uint32_t)cmd == CONSOLEIO_read)
		return console_read(d, buf_va, (uint32_t)count);
	return -XEN_ENOSYS;
}

void console_init(void)
{
	char kind[16];

	/* What is no kind (boot_option.c says so) is no reason to be mute. */
	serial_init(!boot_option("console", kind, sizeof(kind)) || strcmp(kind, "none") != 0);
	guest_console = boot_option("guest_console", kind, sizeof(kind));
}

void console_listen(void)
{
	serial_listen(typed);
}

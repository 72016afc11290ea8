/* service_session.h: somebody who gives commands to a service domain, by whatever way; private to kernel/service*.c.
 *
 * service_ctl.c has one session for the second serial port, for ever; service_ctl_tcp.c one for each connection. Bytes come
 * in by session_input; what goes out goes by the way's own functions. Implemented by service_session.c.
 */
#ifndef KERNEL_SERVICE_SESSION_H
#define KERNEL_SERVICE_SESSION_H

#include <amphi/ctl.h>
#include "service.h"
#include "thread.h"

struct session;

struct session_way {
	/* [waits] Thread context: all of it goes out, or the session is gone. */
	void (*put)(struct session *s, const char *text, size_t len);
	/* Worker: what a guest writes, now or never. */
	void (*put_now)(struct session *s, const char *bytes, size_t len);
	/* Thread context, where the session is polled: gives session_input what has come. */
	void (*poll)(struct session *s);
	/* Thread context, after bytes were taken: there is room for more. May be NULL. */
	void (*taken)(struct session *s);
};

/* written and filled are also an interrupt's; the indices only grow. The rest is the session's thread's, but what
 * the worker tells it: gone, watching, news. */
struct session {
	const struct session_way *way;
	void *ctx;
	uint8_t *ring;
	unsigned ring_bytes, written, taken; /* ring_bytes: a power of two */
	struct wait_queue filled;
	bool polled;
	bool gone; /* nobody will read any more what is put */
	struct ctl_input in;
	struct ctl_answer answer;
	char guest[CONFIG_NAME_MAX]; /* whose console it is to be; "": nobody's */
	bool watching;               /* it is */
	struct console_watcher watcher;
	struct capture_want want; /* name "": nothing */
	struct capture *capture;
	bool news;         /* of the capture */
	uint64_t heard_ns; /* when its last byte was taken, or its last answer ended */
};

/* Any context, interrupts off; as many as there is room for. Returns how many. */
size_t session_input(struct session *s, const uint8_t *bytes, size_t len);

/* Worker: its end. What it has begun is ended by its thread. */
void session_end(struct session *s);

/* [waits] The session's thread: obeys until it has gone. */
void session_run(struct session *s);

#endif

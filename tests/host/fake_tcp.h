/* fake_tcp.h: host_tcp.h without a network: the test is the other end.
 *
 * Up to FAKE_STREAMS streams; what is sent on one is kept for the test to read, which gives it bytes and ends it. Room says how much
 * a stream still takes, so that a test can make it take single bytes.
 */
#ifndef TESTS_FAKE_TCP_H
#define TESTS_FAKE_TCP_H

#include <amphi/host_tcp.h>

#define FAKE_STREAMS 8u

struct host_tcp {
	const struct host_tcp_ops *ops;
	void *ctx;
	bool used, connected, ended;
	uint8_t *sent; /* all of it */
	size_t n_sent, n_read;
	size_t room;
};

extern struct host_tcp fake_streams[FAKE_STREAMS];
extern int fake_refuse; /* what host_tcp_connect returns, when not 0 */

void fake_tcp_reset(void);
/* NULL: it is not in use. */
struct host_tcp *fake_stream(unsigned i);
void fake_connect(struct host_tcp *tcp);
/* Gives bytes, in pieces of at most piece. */
void fake_give(struct host_tcp *tcp, const void *bytes, size_t len, size_t piece);
void fake_end(struct host_tcp *tcp, int status);
/* The next len bytes that were sent; NULL: there are not so many. */
const uint8_t *fake_take(struct host_tcp *tcp, size_t len);

#endif

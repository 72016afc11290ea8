/* host_tcp_sockets.h: host_tcp.h over the sockets of the machine that runs the test. */
#ifndef TESTS_HOST_TCP_SOCKETS_H
#define TESTS_HOST_TCP_SOCKETS_H

#include <amphi/host_tcp.h>

/* Waits at most timeout_ms for any stream to have something, and makes its callbacks. */
void sockets_poll(int timeout_ms);

/* Something listens on this port of 127.0.0.1. */
bool sockets_listens(unsigned port);

#endif

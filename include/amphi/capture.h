/* capture.h: what passes at an interface of a service domain, as the bytes of a pcap file.
 *
 * Caller: the control port (kernel/service_session.c). Implemented by drivers-back/capture.c over the taps of netback.h and bridge.h. A
 * capture has a ring of CAPTURE_RING_BYTES; a frame that finds no room there is counted and not kept, so that nobody
 * who reads slowly holds up the traffic. Frames are as on a wire: long ones cut, checksums filled in.
 * Context: the worker. Errors: negative XEN_Exxx. Not promised: that a frame to a port arrived there (its ring may be full).
 *
 * The file is the one of draft-ietf-opsawg-pcap: version 2.4, little endian, times in ns, Ethernet.
 */
#ifndef AMPHI_CAPTURE_H
#define AMPHI_CAPTURE_H

#include <amphi/net.h>

#define CAPTURE_RING_BYTES (256u << 10)
#define CAPTURE_SNAP_MAX   65535u

struct capture_want {
	char name[16];       /* of a guest's interface, a wire of a bridge, or a bridge */
	uint64_t count;      /* frames; 0: until it is closed */
	uint32_t snap_bytes; /* of each frame, 1 .. CAPTURE_SNAP_MAX */
	bool in, out;        /* what comes in from there; what goes there */
	uint64_t epoch_ns;   /* when host_time_ns() was 0, in UTC since 1970 */
};

struct capture;

/* news(ctx) is called when there may be something to read, and at the end. -XEN_ENODEV: no such interface; -XEN_EBUSY:
 * somebody looks on there; -XEN_ENOMEM. */
int capture_open(const struct capture_want *want, void (*news)(void *ctx), void *ctx,
		 struct capture **out);

/* The file's next bytes; 0: none now. */
size_t capture_read(struct capture *c, void *to, size_t cap);

struct capture_state {
	uint64_t frames;  /* in the file */
	uint64_t dropped; /* found no room, in the ring or in memory */
	bool ended;       /* all that were wanted are there, or the interface has gone */
	bool gone;
};
void capture_look(const struct capture *c, struct capture_state *out);

/* Enough: nothing more comes in, and what is there can be read to its end. */
void capture_stop(struct capture *c);

/* At any time. What was not read is forgotten. */
void capture_close(struct capture *c);

#endif

/* xenbus.h: how the two halves of a split driver find each other and agree through the store.
 *
 * Callers: drivers-front and drivers-back, one xenbus_kind per half of a driver, one xenbus_device
 * per half of a device. Implemented by protocol/xenbus*.c over host.h. The states, and who moves when, are
 * those of xen/io/xenbus.h, as the stock drivers play them; the table is in protocol/xenbus.c.
 *
 * Context: the worker. Errors: negative XEN_Exxx. The peer's words are numbers and short strings
 * that are checked when read (xenbus_read_*); anything else about a peer is closed by
 * xenbus_fail. Not promised: that a device which was closed comes back; that a peer answers. A toolstack may
 * write another `backend` into a front half's directory, whose domain was made anew: then that half begins there.
 */
#ifndef AMPHI_XENBUS_H
#define AMPHI_XENBUS_H

#include <amphi/host.h>

#define XENBUS_PATH_MAX 96u /* of a device's directory */

enum xenbus_side { XENBUS_FRONT, XENBUS_BACK };

struct xenbus_device;

/* What a driver does at each step. Called from the worker; may call the store. */
struct xenbus_ops {
	/* First call, may be NULL: what OUT says is filled in, all that follows dev is zero. */
	void (*created)(struct xenbus_device *dev);
	/* Before InitWait (back: says what it can) or Initialised (front: offers ring and event
	 * channel). An error closes the device, but for -XEN_EAGAIN: not yet; the driver calls xenbus_again
	 * when it is worth another call. May be called again after disconnect. */
	int (*open)(struct xenbus_device *dev);
	/* Before Connected: the peer's keys are there to be read. An error closes the device. */
	int (*connect)(struct xenbus_device *dev);
	/* Undoes both, from any point in them, also when neither was called. True when done; false
	 * when it still waits, then the driver calls xenbus_disconnected() later. A front half that is asked
	 * a second time meanwhile waits no longer. */
	bool (*disconnect)(struct xenbus_device *dev);
	/* The toolstack may have changed something in the directory of a back half that is online; also called
	 * after writes of ours. NULL: no matter. */
	void (*changed)(struct xenbus_device *dev);
	/* Last call, may be NULL: the device's directory is gone and disconnect is done. The engine frees dev after it. */
	void (*gone)(struct xenbus_device *dev);
	/* May be NULL. Both are Connected, and the peer has written its state once more: by that word some of
	 * its keys are worth another look (a disk's "sectors"). */
	void (*peer_changed)(struct xenbus_device *dev);
	/* May be NULL. Back half, Connected: the peer is Reconfiguring, which is to say that it has changed keys of its own and
	 * waits; when this returns it reads Reconfigured, and goes on. Front half (of "pci"): the peer, or its toolstack, says so
	 * first; when this returns it reads Reconfiguring, and when the peer is Reconfigured the next is called, and the peer
	 * reads Connected. A back half that has the next as well is called again when the peer is Connected, and reads
	 * Connected too. */
	void (*reconfigure)(struct xenbus_device *dev);
	void (*reconfigured)(struct xenbus_device *dev);
};

/* The driver's struct begins with it. The engine allocates both. */
struct xenbus_device {
	/* OUT: for the driver to read */
	struct xenbus_class *class;
	struct xenbus_device *next; /* in the list of the class, the newest first */
	enum xenbus_side side;
	domid_t peer;
	uint8_t state, peer_state; /* XenbusState*; peer_state 0: no such node */
	char path[XENBUS_PATH_MAX], peer_path[XENBUS_PATH_MAX];
	unsigned id; /* device number: the last part of path */
	/* the engine's own */
	const struct xenbus_ops *ops;
	struct host_watch *watch;
	struct host_work work;
	uint64_t force_ns;  /* when a removal no longer waits for the peer; 0: none */
	uint64_t return_ns; /* not before: a front half begins again with a peer that is Closed */
	uint8_t after_drop; /* state to enter when the driver has disconnected */
	bool online, failing, dropping, removed, stuck, later;
	bool
	    moving; /* a front half's peer is another one; it is looked for when this connection is undone */
	bool reconfigured; /* a back half's last word; the peer's next is Connected */
	bool parted;       /* the last connection ended by the peer's word, not ours */
};

/* What a half of a driver is to the engine. */
struct xenbus_kind {
	/* IN */
	enum xenbus_side side;
	const char *root;    /* "device/vbd", or "backend/vbd" */
	size_t device_bytes; /* of the driver's struct that begins with a xenbus_device */
	size_t class_bytes;  /* of its struct that begins with a xenbus_class */
	const struct xenbus_ops *ops;
	/* May be NULL. The class has no device any more, and is freed next. */
	void (*stopped)(struct xenbus_class *class);
	/* Front halves say Connected when open() is done, as those of "vif" do; connect() is called as ever, when the
	 * peer is Connected. */
	bool at_once;
	/* OUT: the newest first. A kernel has one; host tests run several domains in one program. */
	struct xenbus_class *classes;
};

/* All devices of one kind in one domain. */
struct xenbus_class {
	/* OUT */
	struct xenbus_kind *kind;
	struct xenbus_class *next;
	struct xenbus_device *devices;
	/* the engine's own */
	struct host_watch *watch;
	struct host_work reap;
};

/* kind->class_bytes, zero but for what is OUT, in the list of kind. NULL: there is no memory. */
struct xenbus_class *xenbus_class_new(struct xenbus_kind *kind);

/* Watches the root and creates a device for each directory under it, now and later. class: as it came from
 * xenbus_class_new; NULL gives -XEN_ENOMEM. After an error it is gone. */
int xenbus_class_start(struct xenbus_class *class);

/* Disconnects and frees all devices that can be, and with the last of them the class. False: a driver still waits and keeps
 * its own; call again. The store is left as it is. For host programs; a kernel never stops. */
bool xenbus_class_stop(struct xenbus_class *class);
/* The same of each class of kind. */
void xenbus_kind_stop(struct xenbus_kind *kind);

/* The device after prev, of any class of kind; NULL begins, and ends. */
struct xenbus_device *xenbus_next(const struct xenbus_kind *kind, const struct xenbus_device *prev);

/* [waits] For front halves, in a new world after a suspend: the store has been connected to again, ports and
 * grants are gone. Every device is dropped as it is, its peer is looked up anew, and it begins again; one
 * whose directory is no longer there goes. Of all classes none may have begun again before all have dropped
 * their devices, hence two calls. */
void xenbus_class_drop(struct xenbus_class *class);
void xenbus_class_resume(struct xenbus_class *class);

/* The peer did what it must not: one line in the log that names it, then, from the worker, the
 * connection is closed. May be called from anywhere in a driver, more than once. */
void xenbus_fail(struct xenbus_device *dev, const char *why);

/* Back half: says Closing of its own accord, as when what it serves is gone; the peer is expected to close then,
 * and is served until it does. Nothing when it is not in InitWait or Connected. From the worker, not from a step. */
void xenbus_close(struct xenbus_device *dev);

/* An open() that said "not yet" may do now. Any time after it. */
void xenbus_again(struct xenbus_device *dev);

/* The driver's answer to a disconnect that returned false. */
void xenbus_disconnected(struct xenbus_device *dev);

/* ---- keys --------------------------------------------------------------------------- */

/* One numeric key of a directory. */
struct xenbus_number {
	const char *key;
	uint64_t min, max;  /* outside: -XEN_EINVAL */
	uint64_t otherwise; /* when there is no such key and it is not required */
	bool required;      /* no such key: -XEN_ENOENT */
};

/* Reads count keys below dir; out[i] for numbers[i]. The first that is wrong is named in the log.
 */
int xenbus_read_numbers(uint32_t tx, const char *dir, const struct xenbus_number *numbers,
			unsigned count, uint64_t *out);

/* Writes dir/key = value in decimal. */
int xenbus_write_number(uint32_t tx, const char *dir, const char *key, uint64_t value);
int xenbus_write_text(uint32_t tx, const char *dir, const char *key, const char *value);

/* With what is below it; not there is as good. */
void xenbus_remove_key(uint32_t tx, const char *dir, const char *key);

/* Reads dir/key; cap counts the NUL. -XEN_EINVAL when a character is not printable ASCII. */
int xenbus_read_text(uint32_t tx, const char *dir, const char *key, char *out, size_t cap);

/* Runs fn in a transaction, again when another got in between; at most 8 times, then -XEN_EAGAIN.
 * fn must do nothing but store calls with that tx. Its own error ends the transaction undone. */
int xenbus_transaction(int (*fn)(uint32_t tx, void *ctx), void *ctx);

/* A decimal number that is the whole of text and at most max. No sign, no blank; leading zeros
 * pass. */
bool xenbus_parse_number(const char *text, uint64_t max, uint64_t *out);

const char *xenbus_state_name(unsigned state);

/* ---- pages that a peer may still hold ----------------------------------------------- */

/* Ends a grant of ours, and then calls host_pages_free(page, 1) when page is not NULL. When the
 * peer still has it mapped both happen later, tried again every second; the page is not reused. */
void grant_retire(gref_t ref, void *page);

/* Grants that still wait. */
unsigned grant_retiring(void);

#endif

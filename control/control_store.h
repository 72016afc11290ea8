/* control_store.h: how nodes are written, for the files that write them; private to control/.
 *
 * A writer is one transaction while it is filled: puts read as a list, without a test behind each, since the first
 * error stays and ends it. control_store.c has these and a domain's own nodes, control_store_device.c,
 * control_store_disk.c, control_store_vif.c and control_store_pci.c a device's.
 */
#ifndef CONTROL_CONTROL_STORE_H
#define CONTROL_CONTROL_STORE_H

#include <amphi/host.h>

#include "control_private.h"

/* It has the texts too, to keep them off the worker's stack. */
struct writer {
	uint32_t tx;
	int err;
	const struct domain_record *r;
	char dir[STORE_PATH_MAX]; /* of the keys that follow */
	char path[STORE_PATH_MAX];
	char value[STORE_VALUE_MAX];
};

/* Makes w->path of the key below w->dir; "" is that itself. False: there was an error. */
bool store_join(struct writer *w, const char *key);

/* The directory of the keys that follow. */
void store_set_dir(struct writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void store_put(struct writer *w, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A directory and who may do what in it; keys written below take that over. owner may do anything and decides
 * for others; reader (DOMID_INVALID: nobody) may read. */
void store_make_dir(struct writer *w, const char *key, domid_t owner, domid_t reader);

/* fill puts all nodes; called again when another's transaction came between. 0 or a negative XEN_Exxx. */
int store_transaction(const struct domain_record *r,
		      void (*fill)(struct writer *w, const void *ctx), const void *ctx);

/* A number below limit at path; otherwise when there is none. Guests write some of these nodes, so anything
 * may stand there. */
unsigned store_number(const char *path, unsigned limit, unsigned otherwise);

/* With everything below; it may be gone already. */
void store_remove(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* What is the same in the halves of every device; the writer's directory is that half's from then on. */
void store_put_backend(struct writer *w, const struct store_device *dev);
void store_put_frontend(struct writer *w, const struct store_device *dev);

/* Both halves of a disk, of an interface. */
void store_put_disk(struct writer *w, const struct config_disk *disk, const char *params);
void store_put_vif(struct writer *w, const struct config_vif *vif);

/* Both halves of the device that all PCI functions are. */
void store_put_pci(struct writer *w);

#endif

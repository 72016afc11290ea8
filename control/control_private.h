/* control_private.h: a domain as control keeps it; private to control/.
 *
 * control_list.c has the list of them, control.c moves domains through their lives, control_ask.c asks things of those that run,
 * control_store.c writes and takes back what the store says of them. Worker context.
 */
#ifndef CONTROL_CONTROL_PRIVATE_H
#define CONTROL_CONTROL_PRIVATE_H

#include <amphi/control.h>
#include <amphi/domain_builder.h>
#include <amphi/host_block.h>

/* When a domain has ended and its backends have let go. */
enum after_end {
	AFTER_NOTHING,
	AFTER_RESTART, /* make it again */
	AFTER_RENAME,  /* make it again beside what is left of it, which gets another name */
};

struct domain_record {
	struct domain_record *next;
	struct control_domain pub; /* what others see; config is ours to free */
	struct built_domain built;
	uint64_t give_up_ns; /* when backends have had their time */
	bool introduced, console;
	enum after_end after;
	bool reported;      /* `ended` has been called */
	bool asked;         /* control_destroy: its end is not reported */
	bool suspend_asked; /* by control_save */
	uint32_t pci_given; /* bit i: pci[i] of its configuration is its */
};

/* control_list.c: in the order of their making. find: NULL when there is none. */
struct domain_record *control_first(void);
struct domain_record *control_find_record(const char *name);
void control_list_add(struct domain_record *r);
void control_list_remove(struct domain_record *r);

/* The record of this name, or a -XEN_ENOENT that has been told. */
int control_record(const char *name, struct domain_record **out);

/* The disk that a command names: as disk= does, or as host_block_find. NULL: none. */
struct block_device *control_find_disk(const char *disk);

/* control_ask.c: one that can be asked for something: -XEN_ESRCH it has ended, -XEN_EBUSY it is being saved; told. */
int control_find_running(const char *name, struct domain_record **out);

/* control.c, for control_save.c: it is ended, and that is not reported; it has ended as by a crash. */
void control_end_saved(struct domain_record *r);
void control_crashed(struct domain_record *r);

/* control_save.c, for control.c. A domain has suspended: false when nobody asked it to, and it is another end
 * like others. A domain ends otherwise. All ends at once. */
bool control_save_suspended(struct domain_record *r);
void control_save_forget(const struct domain_record *r);
void control_save_stop(void);

/* A record and its name for a domain that somebody else makes. -XEN_EEXIST, told, and *out is NULL; or a disk
 * is missing. One at a time. It ends by
 * unreserve, or by start: built and domid are set in it, the domain is whole and paused; it becomes one of
 * control's and runs, or it and the record are gone. */
int control_reserve(const struct domain_config *config, struct domain_record **out);
void control_unreserve(struct domain_record *r);
int control_start_reserved(struct domain_record *r);

/* fn is called when control_stop begins. */
void control_at_stop(void (*fn)(void));

/* 0, or -XEN_EOPNOTSUPP, told with both versions: this hypervisor takes other arguments than ours. */
int control_check_versions(void);

/* The nodes that are there before the first domain and after the last. */
int control_store_prepare(void);

/* Writes all nodes of a new domain and its devices in one transaction. params[i] belongs to disk
 * i of its config. 0, or a negative XEN_Exxx with nothing written. */
typedef char control_params[CONFIG_PATH_MAX];
int control_store_add(const struct domain_record *r, const control_params *params);

/* Takes it all back. */
void control_store_remove(const struct domain_record *r);

/* The domain of this number is called so from now on. */
void control_store_rename(domid_t domid, const char *name);

/* Writes one node below the domain's own directory. 0 or a negative XEN_Exxx. */
int control_store_ask(domid_t domid, const char *node, const char *value);

/* control_block.c: who serves the disk (its backend_id), and what that one shall open. 0, or an error that has been
 * told. */
int control_resolve_disk(const struct domain_record *r, struct config_disk *disk,
			 char params[CONFIG_PATH_MAX]);

/* control_net.c: who serves the interface. As above. */
int control_resolve_vif(const struct domain_record *r, struct config_vif *vif);

/* Both, and its nodes written, as those of one that comes to a domain that runs. */
int control_add_disk(const struct domain_record *r, struct config_disk *disk);
int control_add_vif(const struct domain_record *r, struct config_vif *vif);

/* control_serve.c: a domain runs that did not before: whose backend it is by its name finds it again. */
void control_serve_again(void);

/* control_pci.c: all functions of its configuration: whether they can be given; given, when it is built; and taken back. */
int control_pci_check_all(const struct domain_record *r);
/* It has none, so it can be saved: else -XEN_EOPNOTSUPP, told with their names. */
int control_pci_check_none(const struct domain_record *r);
int control_pci_give_all(struct domain_record *r);
void control_pci_take_all(struct domain_record *r);

/* control_device.c: the domain that a device names as its backend, "": our own. 0, or an error that has been told; what: "disk
 * xvda". */
int control_find_backend(const struct domain_record *r, const char *backend, const char *what,
			 uint16_t *out_id);

/* control.c: what the service domain opens for a target: its hook's word. */
int control_disk_params(const char *target, char *out_params, size_t cap);

/* ---- control_store_disk.c: of one disk; its backend_id is set. 0 or a negative XEN_Exxx, nothing written. */
int control_store_add_disk(const struct domain_record *r, const struct config_disk *disk,
			   const char *params);
int control_store_change_medium(const struct domain_record *r, const struct config_disk *disk,
				const char *params);
int control_store_change_limit(const struct domain_record *r, const struct config_disk *disk);

/* ---- control_store_vif.c: the same of an interface. */
int control_store_add_vif(const struct domain_record *r, const struct config_vif *vif);

/* ---- control_store_pci.c: of all PCI functions together, which are one device; and of one that is added to them or
 * is to leave them (its states are xen/io/pciif.h's, as pciback.h says); of one that has left: those behind it move up. */
int control_store_add_pci(const struct domain_record *r);
int control_store_pci_join(const struct domain_record *r, unsigned i);
int control_store_pci_leave(const struct domain_record *r, unsigned i);
int control_store_pci_drop(const struct domain_record *r, unsigned i);
/* One that was to leave stays, when the guest's half has not answered: all is as before. False: it has begun to let go. */
bool control_store_pci_stay(const struct domain_record *r, unsigned i);
unsigned control_store_pci_state(const struct domain_record *r, unsigned i);

/* ---- control_store_device.c: of a device of any kind, whose backend's number is known. */
struct store_device {
	const char *kind; /* "vbd", "vif", "pci" */
	uint32_t devid;
	domid_t backend_id;
};
static inline struct store_device disk_device(const struct config_disk *disk)
{
	return (struct store_device){"vbd", disk->devid, disk->backend_id};
}
static inline struct store_device vif_device(const struct config_vif *vif)
{
	return (struct store_device){"vif", vif->devid, vif->backend_id};
}
static inline struct store_device pci_device(void)
{
	return (struct store_device){"pci", 0, host_own_domid()};
}
/* The i-th device of a domain, disks first; false: it has not so many. */
bool control_device(const struct domain_config *c, unsigned i, struct store_device *out);
void control_store_remove_device(domid_t id, const struct store_device *dev);
/* XenbusState... of its halves; 0: there is no such node. */
unsigned control_store_device_state(domid_t id, const struct store_device *dev);
unsigned control_store_front_state(domid_t id, const struct store_device *dev);
/* In the backend's half: a word to the frontend. */
void control_store_set_device_state(domid_t id, const struct store_device *dev, unsigned state);
/* Makes its backend let go, without the guest; called again until it is true: it has. */
bool control_store_close_device(domid_t id, const struct store_device *dev);

/* Tells the backends of a stopped domain to let go; returns how many have not yet. */
unsigned control_store_close_backends(const struct domain_record *r);

/* What the domain left in data/exit-code: 0..255, or 0 when that is no such number. */
int control_store_exit_code(domid_t domid);

#endif

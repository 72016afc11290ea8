/* control_device.h: an operation on a device of a domain that runs; private to control/.
 *
 * control_device.c moves it through its steps, control_block.c and control_net.c know what it is. Errors are negative XEN_Exxx, told
 * as in control.h. Worker context.
 */
#ifndef CONTROL_CONTROL_DEVICE_H
#define CONTROL_CONTROL_DEVICE_H

#include <amphi/control_disk.h>

#include "config_parse.h"
#include "control_private.h"

enum device_op_kind { DEVICE_ATTACH, DEVICE_DETACH, DEVICE_FORCE };

#define DEVICE_WHAT_MAX 32u

struct device_target {
	struct store_device dev;
	char what[DEVICE_WHAT_MAX]; /* as people call it: "disk xvda" */
	/* Takes it out of the domain's configuration. */
	void (*forget)(const struct domain_record *r, uint32_t devid);
};

/* Nothing is being done with it; else -XEN_EBUSY. */
int device_idle(const struct domain_record *r, const struct store_device *dev, const char *what);

/* DEVICE_ATTACH: its nodes are written, and it is one of its domain's configuration. done is called when it is there, or is not and
 * has been taken back; only when 0 is returned. */
int device_begin(const struct domain_record *r, const struct device_target *target,
		 enum device_op_kind kind, control_done_fn *done, void *ctx);

/* The word to the guest is the backend's state. Not `online`: a backend that is offline gives a guest a few seconds
 * and then goes without it, and a disk in use would be pulled out. By force too it comes first: a Linux whose disk vanishes without
 * it waits for ever for what was on its way, and for every other device with it. */
int device_detach(const struct domain_record *r, const struct device_target *target, bool force,
		  control_done_fn *done, void *ctx);

/* One spec, as in its list of a domain file, is added to the domain's configuration by add. */
int device_read_spec(const struct domain_record *r, const char *spec,
		     void (*add)(struct config_parser *p, const struct token *spec));

#endif

/* ctl_run.h: a command that is being run, for the files that have commands; private to control/.
 *
 * ctl_commands.c has the table of all and checks how many words there are; a command of another file is declared
 * here. Each returns 0 or a negative XEN_Exxx that has been told (control_fail), or is told by its name.
 */
#ifndef CONTROL_CTL_RUN_H
#define CONTROL_CTL_RUN_H

#include <amphi/control.h>
#include <amphi/ctl.h>

struct run {
	const struct ctl_hooks *hooks;
	int argc;
	char **argv; /* NULL behind the last */
	struct ctl_answer *out;
};

/* ctl_device.c. attach: NAME and a spec, of one word or several. detach: NAME and a device, called so in the usage, and --force
 * anywhere. list: the rows of each domain, or of the one that is named; n columns. */
struct ctl_column;
typedef int ctl_attach_fn(const char *name, const char *spec, control_done_fn *done, void *ctx);
typedef int ctl_detach_fn(const char *name, const char *device, bool force, control_done_fn *done,
			  void *ctx);
typedef void ctl_add_fn(struct ctl_answer *out, const struct control_domain *d);
int ctl_attach(struct run *r, ctl_attach_fn *attach);
int ctl_detach(struct run *r, const char *device, ctl_detach_fn *detach);
int ctl_list(struct run *r, const struct ctl_column *columns, unsigned n, ctl_add_fn *add);

/* ctl_block.c */
int ctl_block_attach(struct run *r);
int ctl_block_detach(struct run *r);
int ctl_block_limit(struct run *r);
int ctl_block_list(struct run *r);

/* ctl_net.c */
int ctl_net_attach(struct run *r);
int ctl_net_detach(struct run *r);
int ctl_net_list(struct run *r);
int ctl_cd_insert(struct run *r);
int ctl_cd_eject(struct run *r);

/* ctl_pci.c */
int ctl_pci_attach(struct run *r);
int ctl_pci_detach(struct run *r);
int ctl_pci_list(struct run *r);
int ctl_pci_assignable(struct run *r);
int ctl_pci_free(struct run *r);
int ctl_pci_keep(struct run *r);
int ctl_sriov(struct run *r);

/* ctl_blkstat.c */
int ctl_blkstat(struct run *r);
/* "?" for a domain that another toolstack has made. */
const char *ctl_guest_name(domid_t domid);

/* ctl_netstat.c */
int ctl_netstat(struct run *r);
int ctl_pcap(struct run *r);

/* ctl_blktrace.c */
int ctl_blktrace(struct run *r);

#endif

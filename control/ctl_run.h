/* ctl_run.h: a command that is being run, for the files that have commands; private to control/.
 *
 * ctl_commands.c has the table of all and checks how many words there are; a command of another file is declared
 * here. Each returns 0 or a negative XEN_Exxx that has been told (control_fail), or is told by its name.
 */
#ifndef CONTROL_CTL_RUN_H
#define CONTROL_CTL_RUN_H

#include <amphi/ctl.h>

struct run {
	const struct ctl_hooks *hooks;
	int argc;
	char **argv; /* NULL behind the last */
	struct ctl_answer *out;
};

/* ctl_block.c. join: a spec with blanks, which came as several words, false: too long. detach: a domain and a device, and
 * --force anywhere; false: not so. */
bool ctl_join_words(char **words, char *out, size_t cap);
bool ctl_detach_words(const struct run *r, const char *words[2], bool *out_force);
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

/* domain_config.h: a domain file in the syntax of xl.cfg(5), parsed and checked.
 *
 * Callers: kernel/service_archive.c before a domain is made, control/ for what commands and saved domains
 * bring, the host tool (check, run, image), fuzzers. Implemented by control/domain_config.c and config_*.c: pure, no allocation, no files opened.
 *
 * Error rule: every fault is told to the listener as one line "FILE:LINE:COLUMN: error: ..."
 * (columns from 1, a tab is one), parsing goes on to find more, and the result is -XEN_EINVAL.
 * Notes ("... note: ...") tell of keys that are known but have no effect here. Not promised: that
 * the files named exist.
 */
#ifndef AMPHI_DOMAIN_CONFIG_H
#define AMPHI_DOMAIN_CONFIG_H

#include <amphi/types.h>

#define CONFIG_NAME_MAX    64u /* with the NUL, as all below */
#define CONFIG_PATH_MAX    1024u
#define CONFIG_CMDLINE_MAX 1024u /* start_info's own limit */
#define CONFIG_SPEC_MAX    128u
#define CONFIG_MAX_DISKS   16u
#define CONFIG_MAX_VIFS    8u
#define CONFIG_MAX_PCI     8u
#define CONFIG_MAX_VCPUS   32u
#define CONFIG_MAX_CPUS    64u /* physical ones that `cpus` may name: from 0 on */

/* Below this no kernel of ours runs, and xl refuses too. */
#define CONFIG_MIN_MEMORY_MIB 4u
#define CONFIG_MAX_MEMORY_MIB (1024u * 1024u)

/* What becomes of a domain that has ended. RENAME_RESTART keeps what is left of it under another name and
 * makes it again under its own. */
enum config_action { CONFIG_DESTROY, CONFIG_RESTART, CONFIG_PRESERVE, CONFIG_RENAME_RESTART };

/* What a disk may take of the real one it is on; 0: no limit. burst_ms: for how long it may save up its rate while
 * it does not use it, to be used at once. */
struct config_limit {
	uint64_t iops, bps; /* requests, and bytes, per second */
	uint32_t burst_ms;
};
#define CONFIG_IOPS_MAX       10000000u
#define CONFIG_BPS_MAX        (1ull << 40)
#define CONFIG_BURST_MAX_MS   60000u
#define CONFIG_BURST_USUAL_MS 100u

struct config_disk {
	char target[CONFIG_PATH_MAX];  /* as written: a host file or device; "": an empty CD-ROM */
	char vdev[16];                 /* "xvda", "xvdb1", "hda" */
	uint32_t devid;                /* of the xenbus node: xvda is 51712 */
	char backend[CONFIG_NAME_MAX]; /* the domain that serves it; "": the service domain */
	uint16_t backend_id;           /* control's: that domain's number */
	bool readonly;                 /* always of a CD-ROM */
	bool cdrom;
	bool no_discard, no_flush_cache, no_persistent; /* not to be offered */
	struct config_limit limit;
};

#define CONFIG_MAC_BYTES 6u

struct config_vif {
	uint32_t devid; /* of the xenbus node: its place in the list, or the first that is free */
	uint8_t mac
	    [CONFIG_MAC_BYTES]; /* given, or made of the domain's name and devid, in Xen's range */
	char bridge[48];        /* and the VLANs of its port there, as bridge.h says */
	char ip[CONFIG_SPEC_MAX]; /* addresses that it may send from, blanks between; "": any */
	uint64_t rate_bytes;      /* in rate_us; 0: no limit */
	uint32_t rate_us;
	uint32_t mtu;                  /* 0: not said, 1500 */
	uint32_t vlan;                 /* while it is read; then it stands in bridge */
	bool untrusted;                /* the backend, by the guest */
	char backend[CONFIG_NAME_MAX]; /* as a disk's */
	uint16_t backend_id;
};
#define CONFIG_BRIDGE_USUAL  "xenbr0"
#define CONFIG_RATE_USUAL_US 50000u

/* A PCI function that the domain shall have. */
struct config_pci {
	uint16_t segment, bdf; /* bdf: bus << 8 | device << 3 | function */
	uint8_t slot;          /* where the guest shall see it; CONFIG_PCI_ANY_SLOT */
	uint8_t flags, given;  /* CONFIG_PCI_...; given: those that were said of this one */
};
#define CONFIG_PCI_ANY_SLOT   0xffu
#define CONFIG_PCI_PERMISSIVE 1u    /* the guest may write what we know no rule for */
#define CONFIG_PCI_POWER      2u    /* ... and its power state */
#define CONFIG_PCI_RELAXED    4u    /* although firmware's memory for it is for others as well */
#define CONFIG_PCI_ASK        8u    /* seize=0: not from a driver of ours that has it */
#define CONFIG_PCI_APART      16u   /* although no IOMMU keeps it from another's */
#define CONFIG_PCI_NAMED      0x80u /* in given: it has a bdf; of all that are there */

struct domain_config {
	char name[CONFIG_NAME_MAX];
	char kernel[CONFIG_PATH_MAX];
	char ramdisk[CONFIG_PATH_MAX];    /* "" when there is none */
	char cmdline[CONFIG_CMDLINE_MAX]; /* cmdline, or root= and extra joined */
	uint32_t memory_mib;              /* what it starts with */
	uint32_t max_memory_mib;          /* >= memory_mib */
	uint32_t vcpus;                   /* that it starts with */
	uint32_t max_vcpus;               /* >= vcpus: those that it has, the others are offline */
	uint32_t cpu_weight;              /* 0: not given */
	uint32_t cpu_cap;                 /* per cent of one CPU; 0: none */
	/* The physical CPUs that each vCPU may run on, a bit each; 0: any. */
	uint64_t cpus[CONFIG_MAX_VCPUS];
	enum config_action on_poweroff, on_reboot, on_crash, on_watchdog;
	unsigned n_disks, n_vifs, n_pci;
	struct config_disk disks[CONFIG_MAX_DISKS];
	struct config_vif vifs[CONFIG_MAX_VIFS];
	struct config_pci pci[CONFIG_MAX_PCI];
	uint8_t pci_usual; /* CONFIG_PCI_...: for those that do not say */
	/* Its devices see its own memory at machine addresses from the start; else nothing, until it maps
	 * what they may see (iospace.h). */
	bool passthrough;
	/* It is told the machine's own numbers of its functions; else they are renumbered. */
	bool pci_as_is;
};

struct config_listener {
	/* One line without a newline; valid only during the call. */
	void (*say)(void *ctx, bool is_error, const char *text);
	void *ctx;
};

/* Parses len bytes of text (no NUL needed) into *out, which is about 22 KiB and wholly rewritten.
 * 0 or -XEN_EINVAL. file_name is used in messages only. Any context. */
int domain_config_parse(const char *file_name, const char *text, size_t len,
			const struct config_listener *listener, struct domain_config *out);

/* Reads "iops=...", "bps=..." or "burst=..." (as in disk=) into *limit, of which the others stay. NULL, or what is
 * wrong with it. */
const char *config_limit_word(const char *word, struct config_limit *limit);

/* Reads six bytes as "00:16:3e:01:02:03"; false: it is none, or a group's. */
bool config_mac(const char *text, uint8_t out[CONFIG_MAC_BYTES]);

/* Reads a function as "0000:03:00.0" or "03:00.0"; false: it is none. */
bool config_pci_address(const char *text, uint16_t *out_segment, uint16_t *out_bdf);

/* That function of the domain's; NULL: it has it not. */
struct config_pci *config_find_pci(const struct domain_config *c, uint16_t segment, uint16_t bdf);

/* The number of a vdev as xenbus wants it (xl-disk-configuration(5) and Xen's vbd-interface):
 * xvda.. xvdp, further xvd letters, hda hdb.., sda..; with an optional partition number.
 * False when it is none of these. */
bool config_vdev_number(const char *vdev, uint32_t *out_devid);

#endif

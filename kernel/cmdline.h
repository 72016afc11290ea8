/* cmdline.h: the kernel's command line, read once.
 *
 * Words are KEY, KEY=VALUE or KEY="VALUE with spaces"; the table of keys is cmdline.c's, and docs/kernel.md says what each means
 * (kernel_doc_test holds one against the other). Unknown words and bad values are reported to the caller and otherwise ignored.
 * Pure: no console, no allocation; the text is not kept.
 */
#ifndef KERNEL_CMDLINE_H
#define KERNEL_CMDLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <amphi/dma.h>

#define CMDLINE_DO_MAX   1024u
#define CMDLINE_NAME_MAX 32u
#define CMDLINE_IP_MAX   128u

enum role { ROLE_UNSET, ROLE_NATIVE, ROLE_GUEST, ROLE_SERVICE };
enum console_choice {
	CONSOLE_AUTO,
	CONSOLE_SERIAL,
	CONSOLE_RING,
	CONSOLE_HYPERVISOR,
	CONSOLE_SCREEN,
	CONSOLE_INTERACTIVE, /* of the service domain: it hands the terminal round */
};

/* The platform to be, whatever is found; see platform.h for what is refused. */
enum pvops_choice { PVOPS_AUTO, PVOPS_NATIVE, PVOPS_KVM, PVOPS_XEN_PV, PVOPS_XEN_PVH };

struct cmdline {
	enum role role;
	enum pvops_choice pvops;
	enum console_choice console;
	unsigned loglevel; /* an enum log_level */
	bool fpu_lazy;     /* programs' FPU state is switched when it is used */
	uint16_t port_first,
	    port_last;    /* programs may ask for them; none: port_first is the greater */
	bool stay;        /* do not power off when the work is done */
	unsigned maxcpus; /* how many to start; 0: all */
	/* Pages of guests that disks keep mapped, for each queue and in all (blkback.h); set: said here */
	bool persistent_set;
	unsigned persistent_queue, persistent_all;
	enum dma_policy iommu;    /* of the devices, where there is an IOMMU of ours */
	bool intremap;            /* it checks their interrupts, too */
	enum dma_debug dma_debug; /* every map for a device is checked against its unmap */
	unsigned dma_mask_bits;   /* devices are told that they reach no more; 0: as they are */
	bool dma_untrusted;       /* devices see whole pages only, where an IOMMU holds them */
	uint64_t pool_first, pool_max; /* bytes of bounce buffers; pool_max 0: as dma.h has it */
	unsigned vfs; /* virtual functions to turn on of each disk controller that has them */
	bool disk_old_keys, disk_large_sectors; /* what backends are told (blkfront_limits) */
	uint16_t ctl_port; /* where TCP gives commands to a service domain; 0: nowhere */
	bool ctl_any;      /* who comes from anywhere, and not only from outside and near */
	char name[CMDLINE_NAME_MAX];
	char ip[CMDLINE_IP_MAX];       /* as net/net_stack.h reads it; "" when it is not said */
	char commands[CMDLINE_DO_MAX]; /* of do=; "" when there is none */
};

/* word is the offending word, not ended by NUL. */
typedef void cmdline_complain_fn(const char *why, const char *word, size_t len);

/* Reads text (ended by NUL) into out, which is set to defaults first. complain may be NULL. */
void cmdline_parse(const char *text, struct cmdline *out, cmdline_complain_fn *complain);

/* What kmain read. Constant after it. */
extern struct cmdline cmdline;

#endif

/* commands.h: the shell's commands, by the file that has them.
 *
 * Caller: kmain, once, before the shell runs.
 */
#ifndef KERNEL_COMMANDS_H
#define KERNEL_COMMANDS_H

void commands_disk_add(void);
void commands_ledger_add(void);      /* disks sha256 fill verify ramdisk */
void commands_copy_add(void);        /* copy */
void commands_net_add(void);         /* netstat */
void commands_blast_add(void);       /* netblast */
void commands_info_add(void);        /* pvops store mem stats threads hypercalls */
void commands_system_add(void);      /* reboot crash halt sleep */
void commands_bench_add(void);       /* bench */
void commands_price_add(void);       /* price */
void commands_irq_try_add(void);     /* irq-try */
void commands_user_add(void);        /* run */
void commands_line_add(void);        /* start repeat */
void commands_time_add(void);        /* clock date */
void commands_cpu_add(void);         /* cpu */
void commands_ip_add(void);          /* ip ping host */
void commands_ip_nc_add(void);       /* nc */
void commands_ip_http_add(void);     /* fetch httpd */
void commands_ip_iperf_add(void);    /* iperf */
void commands_selftest_add(void);    /* selftest */
void commands_send_add(void);        /* netsend */
void commands_wire_add(void);        /* netecho */
void commands_bridge_add(void);      /* bridge */
void commands_dma_add(void);         /* dma */
void commands_dma_try_add(void);     /* dma-try */
void commands_dma_page_add(void);    /* dma-page dma-grant */
void commands_dma_message_add(void); /* dma-message */

#include <amphi/block.h>
#include <amphi/net.h>

/* [waits] Begins the use of the disk of this name; one that a backend serves may need a moment to appear. False, and a
 * word to the user, when it does not come. */
struct block_use;
bool commands_disk(const char *name, struct block_use *out_use);
/* [waits] Ends it. */
void commands_disk_end(struct block_use *use);

/* [waits] The interface of this name with its carrier, if it comes within ten seconds; else what there is of that name, or NULL. It
 * may go when the worker next runs: who uses it longer is its user, or finds it anew. */
struct net_device *commands_interface(const char *name);

/* The four numbers of an IPv4 address, and nothing else. */
bool commands_ip4(const char *text, uint8_t out[4]);

/* BUS:DEV.FN, as it is printed. */
bool commands_bdf(const char *text, uint16_t *out_bdf);

/* The stats lines of all disks, front and back; also said at the end of a service domain. */
void commands_print_stats(void);

#endif

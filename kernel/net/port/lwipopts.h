/* lwipopts.h: what of lwIP is built, and how large its tables are.
 *
 * Included by lwIP's opt.h and by nobody else. It runs in the worker alone (NO_SYS), takes its memory from port.c, which
 * bounds it, and has its timers from timers.c. Sequential and socket interfaces are left out: host_tcp.h is ours.
 */
#ifndef KERNEL_NET_LWIPOPTS_H
#define KERNEL_NET_LWIPOPTS_H

#define NO_SYS               1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN         0
#define LWIP_SOCKET          0
#define LWIP_STATS           0
#define LWIP_TIMERS          1
#define LWIP_TIMERS_CUSTOM   1
#define lwip_htons(x)        __builtin_bswap16(x)
#define lwip_htonl(x)        __builtin_bswap32(x)

/* ---- memory: all from port.c, which counts it against one bound; so no pool has a size of its own. */
#define MEM_ALIGNMENT   16
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
#define mem_clib_malloc net_mem_alloc
#define mem_clib_calloc net_mem_zeroed
#define mem_clib_free   net_mem_free
void *net_mem_alloc(unsigned long size);
void *net_mem_zeroed(unsigned long count, unsigned long size);
void net_mem_free(void *p);
#define LWIP_SUPPORT_CUSTOM_PBUF 1
#define PBUF_POOL_BUFSIZE        1600

/* ---- interfaces */
#define LWIP_NETIF_HOSTNAME        1
#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_NETIF_LOOPBACK        1
#define LWIP_HAVE_LOOPIF           1
#define LWIP_LOOPBACK_MAX_PBUFS    128
/* Per frame in truth: link.c sets it before each (whether its checksum was looked at is known there). */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHKSUM                  net_chksum
unsigned short net_chksum(const void *data, int len);

/* ---- IPv4. 65507 bytes of ping are 45 fragments. */
#define LWIP_IPV4                          1
#define LWIP_ARP                           1
#define ARP_TABLE_SIZE                     32
#define ARP_QUEUEING                       1
#define ARP_QUEUE_LEN                      64
#define ETHARP_TRUST_IP_MAC                0
#define LWIP_ICMP                          1
#define IP_REASSEMBLY                      1
#define IP_FRAG                            1
#define IP_REASS_MAX_PBUFS                 256
#define IP_REASS_MAXAGE                    10
#define LWIP_DHCP                          1
#define LWIP_DHCP_MAX_DNS_SERVERS          2
#define DHCP_DOES_ARP_CHECK                0
#define LWIP_DNS                           1
#define DNS_MAX_SERVERS                    3
#define DNS_TABLE_SIZE                     8
#define LWIP_RAW                           1
#define LWIP_UDP                           1
#define SO_REUSE                           1
#define IP_SOF_BROADCAST                   1
#define IP_SOF_BROADCAST_RECV              0
#define LWIP_BROADCAST_PING                0
#define LWIP_MULTICAST_PING                0
#define LWIP_HOOK_IP4_ROUTE(to)            net_route4(to)
#define LWIP_HOOK_ETHARP_GET_GW(netif, to) net_gateway4(netif, to)

/* ---- IPv6 */
#define LWIP_HOOK_IP6_ROUTE(from, to)   net_route6(to)
#define LWIP_HOOK_ND6_GET_GW(netif, to) net_gateway6(netif, to)
#define LWIP_IPV6                       1
#define LWIP_IPV6_AUTOCONFIG            1
#define LWIP_IPV6_DHCP6                 1
#define LWIP_IPV6_DHCP6_STATELESS       1
#define LWIP_IPV6_NUM_ADDRESSES         4
#define LWIP_IPV6_FRAG                  1
#define LWIP_IPV6_REASS                 1
#define IPV6_REASS_MAXAGE               10
/* What reassembly notes of a fragment does not fit into the fragment header where pointers have eight bytes. */
#define IPV6_FRAG_COPYHEADER           1
#define LWIP_IPV6_MLD                  1
#define LWIP_ND6_ALLOW_RA_UPDATES      1
#define LWIP_ND6_RDNSS_MAX_DNS_SERVERS 2
#define LWIP_ND6_NUM_NEIGHBORS         32
#define LWIP_ND6_NUM_DESTINATIONS      32
#define LWIP_ND6_QUEUEING              1
#define MEMP_NUM_ND6_QUEUE             64
#define LWIP_ICMP6                     1

/* ---- TCP. The segment is what the interface's MTU gives, up to a jumbo frame's. */
#define LWIP_TCP                   1
#define TCP_MSS                    8940
#define TCP_CALCULATE_EFF_SEND_MSS 1
#define LWIP_WND_SCALE             1
#define TCP_RCV_SCALE              4
#define TCP_WND                    (512u * 1024u)
#define TCP_SND_BUF                (512u * 1024u)
#define TCP_SND_QUEUELEN           2048
#define TCP_SNDLOWAT               24576
#define TCP_SNDQUEUELOWAT          512
#define MEMP_NUM_TCP_SEG           TCP_SND_QUEUELEN
#define TCP_OVERSIZE               TCP_MSS
/* Who writes much, and more behind it, gets a segment in one piece. */
#define TCP_OVERSIZE_CALC_LENGTH(length) ((length) < 4096 ? (length) + TCP_OVERSIZE : 0xffff)
#define LWIP_TCP_SACK_OUT                1
#define TCP_QUEUE_OOSEQ                  1
#define TCP_OOSEQ_MAX_BYTES              TCP_WND
#define TCP_OOSEQ_MAX_PBUFS              512
#define TCP_LISTEN_BACKLOG               1
#define LWIP_TCP_KEEPALIVE               1
#define LWIP_HOOK_TCP_ISN                net_tcp_isn
/* What else it is told is not looked at. */
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, ...) net_tcp_inpacket(pcb)
/* The segment that the wire takes, beside a pcb (large.c). */
#define LWIP_TCP_PCB_NUM_EXT_ARGS          1
#define LWIP_RANDOMIZE_INITIAL_LOCAL_PORTS 1

/* The hook's own declaration, where ip_addr_t is known. */
#define LWIP_HOOK_FILENAME "hooks.h"

#endif

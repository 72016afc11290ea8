/* cc.h: the compiler and the machine, as lwIP wants to be told.
 *
 * Included by lwIP's own headers and by nobody else. Not the choice of what lwIP does: that is lwipopts.h. What lwIP asks of
 * its surroundings (memory, random numbers, the end of the world) is in kernel/net/port.c.
 */
#ifndef KERNEL_NET_ARCH_CC_H
#define KERNEL_NET_ARCH_CC_H

#include <amphi/host.h>
#include <amphi/string.h>

#define BYTE_ORDER LITTLE_ENDIAN
#ifndef LITTLE_ENDIAN
#define LITTLE_ENDIAN 1234
#endif
#ifndef BIG_ENDIAN
#define BIG_ENDIAN 4321
#endif

/* The formats of inttypes.h, which a program without a C library may lack. They are used in debug text only, and there is none. */
#define LWIP_NO_INTTYPES_H 1
#define X8_F               "02x"
#define U16_F              "u"
#define S16_F              "d"
#define X16_F              "x"
#define U32_F              "u"
#define S32_F              "d"
#define X32_F              "x"
#define SZT_F              "zu"
#define LWIP_NO_UNISTD_H   1
#define LWIP_NO_CTYPE_H    1
#define SSIZE_MAX          INT_MAX
typedef long ssize_t;

#define LWIP_PLATFORM_DIAG(x)
/* What lwIP holds for impossible is our bug, or its own; a wrong packet is not. */
#define LWIP_PLATFORM_ASSERT(text) host_bug(text, "lwip", __LINE__)

uint32_t net_random(void);
#define LWIP_RAND() net_random()

#endif

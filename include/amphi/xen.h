/* xen.h: the one place where Xen's public headers are taken in, with the switches they want.
 *
 * They come from Debian's libxen-dev and are a dependency, not ours. Guest handles are
 * structs with one member p, so a guest's pointer never passes for one of ours.
 */
#ifndef AMPHI_XEN_H
#define AMPHI_XEN_H

#include <stddef.h>
#include <stdint.h>

#ifndef __XEN_INTERFACE_VERSION__
#define __XEN_INTERFACE_VERSION__ 0x00040d00
#endif
#define __XEN_TOOLS__ 1

#include <xen/xen.h>
#include <xen/errno.h>
#include <xen/version.h>
#include <xen/features.h>
#include <xen/memory.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/callback.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/domctl.h>
#include <xen/sysctl.h>
#include <xen/elfnote.h>
#include <xen/nmi.h>

#endif

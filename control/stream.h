/* stream.h: the layout of a saved domain as xl, libxl and libxc write it; private to control/.
 *
 * Three formats, one inside the other, all of them x86 PV, 64 bits, little-endian unless said. From
 * byte 0 of the file or disk, with nothing between:
 *
 *	stream_xl_header, optional_bytes of text      tools/xl (xl_vmcontrol.c, xl.h)
 *	stream_xl_format                              docs/specs/libxl-migration-stream
 *	  record XL_LIBXC                               its body is of length 0, and behind it stand
 *	    stream_image_header, stream_domain_header   docs/specs/libxc-migration-stream
 *	    records STREAM_... up to STREAM_END
 *	  records XL_..., up to XL_END
 *
 * A record is a stream_record, its body, and zeros up to a multiple of STREAM_ALIGN. What follows the
 * last is not part of it: a disk is longer than a stream. A stream that is not whole has no magic: it
 * is written last, behind a flush. Layouts and numbers only; pure. Users: save*.c, restore*.c, tests.
 */
#ifndef CONTROL_STREAM_H
#define CONTROL_STREAM_H

#include <amphi/types.h>
#include <amphi/xen.h>

#define STREAM_ALIGN 8u

/* Of a record's body. libxc reads none that is longer than this. */
#define STREAM_RECORD_MAX (128u << 20)

static inline uint32_t stream_padding(uint32_t body_bytes)
{
	return -body_bytes & (STREAM_ALIGN - 1);
}

/* The three headers that name a format have numbers in the order of the network. */
static inline uint32_t stream_be32(uint32_t v)
{
	return __builtin_bswap32(v);
}

/* ---- xl: what `xl save` puts in front --------------------------------------------------------- */

/* 32 bytes, and the string's own NUL behind them, which is not written. */
#define STREAM_XL_MAGIC      "Xen saved domain, xl format\n \0 \r"
#define STREAM_XL_BYTE_ORDER 0x01020304u

/* Mandatory flags: a reader refuses those that it does not know. libxl is in version 2 since 4.6. */
#define STREAM_XL_FLAG_JSON 1u /* the text is JSON, else it is a domain file */
#define STREAM_XL_FLAG_V2   2u

struct stream_xl_header {
	char magic[32];
	uint32_t byte_order;
	uint32_t mandatory_flags, optional_flags;
	/* Behind this header: what readers may not know, then, when a length stands in front of it as a
	 * uint32_t, the domain's configuration, its NUL counted. optional_bytes counts both. */
	uint32_t optional_bytes;
};
_Static_assert(sizeof(STREAM_XL_MAGIC) == 32 + 1, "and the NUL");
_Static_assert(sizeof(struct stream_xl_header) == 48, "xl's header");

/* ---- libxl ------------------------------------------------------------------------------------ */

#define STREAM_XL_FORMAT_IDENT   "LibxlFmt" /* 8 bytes, without the NUL */
#define STREAM_XL_FORMAT_VERSION 2u
#define STREAM_XL_BIG_ENDIAN     1u /* options; others: 2, of the old format's conversion */

struct stream_xl_format {
	char ident[8];
	uint32_t version, options; /* big-endian both */
};
_Static_assert(sizeof(struct stream_xl_format) == 16, "libxl's header");

/* Also the header of libxc's records: the bodies' lengths are without the header and the padding. */
struct stream_record {
	uint32_t type;
	uint32_t body_bytes;
};
_Static_assert(sizeof(struct stream_record) == 8, "a record's header");

enum stream_xl_record {
	STREAM_XL_END = 0,
	STREAM_XL_LIBXC = 1,
	STREAM_XL_EMULATOR_STORE = 2, /* of HVM domains */
	STREAM_XL_EMULATOR = 3,
	STREAM_XL_CHECKPOINT_END = 4, /* of streams that go on; not of files */
	STREAM_XL_CHECKPOINT_STATE = 5,
};

/* ---- libxc: headers --------------------------------------------------------------------------- */

#define STREAM_IMAGE_MARKER  0xffffffffffffffffull
#define STREAM_IMAGE_ID      0x58454e46u /* "XENF" */
#define STREAM_IMAGE_V2      2u          /* Xen 4.6 to 4.13 */
#define STREAM_IMAGE_V3      3u          /* from 4.14: STREAM_STATIC_END must be there */
#define STREAM_IMAGE_OPT_BIG 1u

struct stream_image_header {
	uint64_t marker;
	uint32_t id, version; /* big-endian, as options */
	uint16_t options, reserved16;
	uint32_t reserved32;
};
_Static_assert(sizeof(struct stream_image_header) == 24, "libxc's header");

#define STREAM_DOMAIN_X86_PV 1u

struct stream_domain_header {
	uint32_t type;
	uint16_t page_shift, reserved;
	uint32_t xen_major, xen_minor; /* who saved it */
};
_Static_assert(sizeof(struct stream_domain_header) == 16, "libxc's domain header");

/* ---- libxc: records --------------------------------------------------------------------------- */

/* A reader refuses those it does not know, but those that have STREAM_OPTIONAL. */
#define STREAM_OPTIONAL 0x80000000u

enum stream_type {
	STREAM_END = 0x00,
	STREAM_PAGE_DATA = 0x01,
	STREAM_PV_INFO = 0x02,
	STREAM_PV_P2M_FRAMES = 0x03,
	STREAM_VCPU_BASIC = 0x04, /* stream_vcpu, struct vcpu_guest_context */
	STREAM_VCPU_EXTENDED =
	    0x05,                 /* stream_vcpu, struct xen_domctl_ext_vcpucontext, <= 128 bytes */
	STREAM_VCPU_XSAVE = 0x06, /* stream_vcpu, stream_xsave, the area as XSAVE wrote it */
	STREAM_SHARED_INFO = 0x07, /* the page */
	STREAM_TSC_INFO = 0x08,
	STREAM_HVM_CONTEXT = 0x09,
	STREAM_HVM_PARAMS = 0x0a,
	STREAM_TOOLSTACK = 0x0b,
	STREAM_VCPU_MSRS =
	    0x0c, /* stream_vcpu, any number of struct xen_domctl_vcpu_msr; may be 0 */
	STREAM_VERIFY = 0x0d,
	STREAM_CHECKPOINT = 0x0e,
	STREAM_DIRTY_LIST = 0x0f,
	STREAM_STATIC_END = 0x10,   /* no body; before it only PV_INFO and the policies */
	STREAM_CPUID_POLICY = 0x11, /* any number of 24 bytes (xen_cpuid_leaf_t) */
	STREAM_MSR_POLICY = 0x12,   /* any number of 16 bytes (xen_msr_entry_t) */
};

/* The order that libxc writes and its reader needs: PV_INFO, CPUID_POLICY, MSR_POLICY, STATIC_END,
 * PV_P2M_FRAMES, PAGE_DATA..., TSC_INFO, SHARED_INFO, of each vCPU BASIC EXTENDED XSAVE MSRS, END. */

struct stream_pv_info {
	uint8_t guest_width, pt_levels; /* 8 and 4 */
	uint8_t reserved[6];
};
_Static_assert(sizeof(struct stream_pv_info) == 8, "PV_INFO");

/* Behind it: for each page of the list that has an entry of [start_pfn, end_pfn], its own pfn as a
 * uint64_t. */
struct stream_p2m_frames {
	uint32_t start_pfn, end_pfn; /* both are in */
};
_Static_assert(sizeof(struct stream_p2m_frames) == 8, "PV_P2M_FRAMES");

/* Behind it: count numbers as uint64_t, each a pfn and its type; then of each that has content, in
 * their order, a page. Frames in tables are pfns. libxc puts at most 1024 into one. */
struct stream_page_data {
	uint32_t count, reserved;
};
_Static_assert(sizeof(struct stream_page_data) == 8, "PAGE_DATA");

#define STREAM_BATCH_PAGES 1024u
#define STREAM_PFN_MASK    0x000fffffffffffffull
#define STREAM_TYPE_SHIFT  60u /* XEN_DOMCTL_PFINFO_..., which are for bits 28 to 31, 32 bits up */

/* Values of those four bits. 1 to 4: a table of this level; STREAM_PAGE_PINNED more: a pinned one. */
#define STREAM_PAGE_PLAIN  0x0u
#define STREAM_PAGE_PINNED 0x8u
#define STREAM_PAGE_BROKEN 0xdu /* these three have no content; the domain does not have the last */
#define STREAM_PAGE_XALLOC 0xeu
#define STREAM_PAGE_NONE   0xfu
_Static_assert((uint64_t)XEN_DOMCTL_PFINFO_XTAB << 32 == (uint64_t)STREAM_PAGE_NONE
							     << STREAM_TYPE_SHIFT,
	       "the hypervisor's types, shifted");

struct stream_vcpu {
	uint32_t vcpu, reserved;
};
_Static_assert(sizeof(struct stream_vcpu) == 8, "VCPU_...");

/* As XEN_DOMCTL_getvcpuextstate gives it. */
struct stream_xsave {
	uint64_t xcr0, xcr0_accum;
};
_Static_assert(sizeof(struct stream_xsave) == 16, "in front of the XSAVE area");

#define STREAM_EXTENDED_MAX 128u /* bytes of VCPU_EXTENDED behind stream_vcpu */

struct stream_tsc_info {
	uint32_t mode, khz;
	uint64_t elapsed_ns;
	uint32_t incarnation, reserved;
};
_Static_assert(sizeof(struct stream_tsc_info) == 24, "TSC_INFO");

/* In contexts of vCPUs the frames of cr3, of ctrlreg[1] and of the GDT are pfns, and so is, in vCPU 0's
 * rdx, that of the start info: the third argument of the call that it was suspended by. In the start
 * info, store_mfn and console.domU.mfn are pfns: a suspending guest has turned them itself. */

#endif

/* layout.h: where things are in the hypervisor's part of every address space.
 *
 * Slots of 512 GiB of the top-level table. Slots 256 to 271 are the hole that Xen's ABI keeps from
 * guests; each guest's top-level table carries ours there. Included by C, assembly and the link
 * script alike, so it holds numbers and nothing else. Boot code maps the image and the first GiB
 * of the direct map; frame_boot.c maps the rest.
 *
 *   256  machine-to-physical table, read-only to guests (place fixed by the ABI)
 *   257  per-domain area: GDT and LDT of each vCPU (its L3 differs from domain to domain)
 *   258  the image, at its physical address + HV_IMAGE_VIRT
 *   259  machine-to-physical table (writable), frame table, device registers
 *   260  direct map of RAM, up to slot 267
 */
#ifndef HV_LAYOUT_H
#define HV_LAYOUT_H

#define HV_HOLE_FIRST_SLOT 256
#define HV_HOLE_LAST_SLOT  271
#define HV_HOLE_START      0xffff800000000000
#define HV_HOLE_END        0xffff880000000000

#define HV_M2P_VIRT         0xffff800000000000
#define HV_M2P_SLOT         256
#define HV_PERDOMAIN_VIRT   0xffff808000000000
#define HV_PERDOMAIN_SLOT   257
#define HV_IMAGE_VIRT       0xffff810000000000
#define HV_IMAGE_SLOT       258
#define HV_M2P_RW_VIRT      0xffff818000000000
#define HV_TABLES_SLOT      259
#define HV_FRAMES_VIRT      0xffff81a000000000
#define HV_IO_VIRT          0xffff81c000000000
#define HV_IO_VIRT_END      0xffff81c040000000
#define HV_DIRECT_VIRT      0xffff820000000000
#define HV_DIRECT_SLOT      260
#define HV_DIRECT_LAST_SLOT 267

/* The physical address the image is loaded at; its link address is HV_IMAGE_VIRT above it. */
#define HV_LOAD_PHYS 0x100000

/* The page of the first MiB, which is nobody's once the loader's information is read, in which other
 * CPUs begin. */
#define SMP_TRAMPOLINE_PAGE 0x8

/* Per vCPU in the per-domain area: 16 pages of GDT, then 16 pages of LDT. Pages 14 and 15 of the
 * GDT are ours: page 14 is the CPU's own page of reserved descriptors, page 15 is not mapped. */
#define HV_GDT_PAGES       16
#define HV_GDT_GUEST_PAGES 14
#define HV_LDT_PAGES       16
#define HV_VCPU_AREA_SIZE  0x20000
#define HV_LDT_OFFSET      0x10000

/* Entries of the GDT in the reserved page, as numbers within the whole GDT (entry 7168 is the
 * page's first). The three guest segments are fixed by the ABI; the others are ours. */
#define HV_GDT_FIRST  7168
#define HV_CS         0xe008
#define HV_DS         0xe010
#define HV_GUEST_CS32 0xe023
#define HV_GUEST_DS32 0xe02b
#define HV_GUEST_CS64 0xe033
#define HV_TSS        0xe040
#define HV_LDT        0xe050

#endif

/* fake_kernel.c: the kernel image of fake_control.h: an ELF file with Xen's notes, made of nothing.
 *
 * Two segments, the second with memory behind its bytes, which a loader has to clear. Callers: tests of
 * control/. Calls the C library.
 */
#include <elf.h>
#include <string.h>

#include <amphi/xen.h>

#include "fake_control.h"

static uint8_t *put_note(uint8_t *p, uint32_t type, uint64_t value)
{
	Elf64_Nhdr nh = {4, 8, type};

	memcpy(p, &nh, sizeof(nh));
	memcpy(p + sizeof(nh), "Xen", 4);
	memcpy(p + sizeof(nh) + 4, &value, 8);
	return p + sizeof(nh) + 12;
}

const void *fake_kernel(size_t *out_len)
{
	static struct {
		Elf64_Ehdr eh;
		Elf64_Phdr ph[3];
		uint8_t notes[128], code[4096], data[5000];
	} k;
	uint8_t *end = put_note(k.notes, XEN_ELFNOTE_VIRT_BASE, FAKE_KERNEL_BASE);

	end = put_note(end, XEN_ELFNOTE_HYPERCALL_PAGE, FAKE_KERNEL_BASE + 0x113000);
	end = put_note(end, XEN_ELFNOTE_ENTRY, FAKE_KERNEL_BASE + 0x100123);
	memcpy(k.eh.e_ident, ELFMAG "\2\1\1", 7);
	k.eh.e_type = ET_EXEC;
	k.eh.e_machine = EM_X86_64;
	k.eh.e_phoff = (uintptr_t)&k.ph - (uintptr_t)&k;
	k.eh.e_phentsize = sizeof(k.ph[0]);
	k.eh.e_phnum = 3;
	k.ph[0] = (Elf64_Phdr){PT_LOAD,
			       PF_R | PF_X,
			       (uintptr_t)&k.code - (uintptr_t)&k,
			       FAKE_KERNEL_BASE + 0x100000,
			       0x100000,
			       sizeof(k.code),
			       sizeof(k.code),
			       0};
	k.ph[1] = (Elf64_Phdr){PT_LOAD,
			       PF_R | PF_W,
			       (uintptr_t)&k.data - (uintptr_t)&k,
			       FAKE_KERNEL_DATA,
			       0x110000,
			       sizeof(k.data),
			       0x4000,
			       0};
	k.ph[2] = (Elf64_Phdr){PT_NOTE, PF_R, (uintptr_t)&k.notes - (uintptr_t)&k,
			       0,       0,    (uintptr_t)end - (uintptr_t)k.notes,
			       0,       0};
	memset(k.code, 0x90, sizeof(k.code));
	memset(k.data, 0x5a, sizeof(k.data));
	*out_len = sizeof(k);
	return &k;
}

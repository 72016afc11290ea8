/* msr.c: model-specific registers that a PV guest may read and write.
 *
 * Caller: emulate.c. An allow list: segment bases, EFER, and a few that kernels read or write back
 * unchanged while starting. All others are the guest's #GP, which kernels expect of a register that
 * is not there.
 */
#include "cpu.h"
#include "domain.h"
#include "emulate.h"

#define MSR_PLATFORM_ID 0x17u
#define MSR_MICROCODE   0x8bu
#define EFER_GUEST      (EFER_SCE | EFER_LME | EFER_LMA | EFER_NX)

bool msr_read(struct vcpu *v, uint32_t msr, uint64_t *out)
{
	switch (msr) {
	case MSR_FS_BASE:
		*out = rdmsr(MSR_FS_BASE);
		return true;
	case MSR_GS_BASE:
		*out = rdmsr(MSR_KERNEL_GS_BASE);
		return true;
	case MSR_KERNEL_GS_BASE:
		*out = v->pv.gs_base_user;
		return true;
	case MSR_EFER:
		*out = EFER_GUEST;
		return true;
	case MSR_APIC_BASE:
	case MSR_PAT:
	case MSR_MISC_ENABLE:
	case MSR_PLATFORM_ID:
	case MSR_MICROCODE:
		return rdmsr_safe(msr, out);
	default:
		return false;
	}
}

/* Segment bases; the rest may only be written as they are. */
bool msr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	uint64_t now;

	switch (msr) {
	case MSR_FS_BASE:
		return hc_set_segment_base(SEGBASE_FS, value) == 0;
	case MSR_GS_BASE:
		return hc_set_segment_base(SEGBASE_GS_KERNEL, value) == 0;
	case MSR_KERNEL_GS_BASE:
		return hc_set_segment_base(SEGBASE_GS_USER, value) == 0;
	default:
		return msr_read(v, msr, &now) && now == value;
	}
}

/* msr.c: model-specific registers that a PV guest may read and write.
 *
 * Caller: emulate.c. An allow list: segment bases, EFER, a few that kernels read or write back
 * unchanged while starting, and machine-check banks in which nothing ever happens. All others are the guest's
 * #GP, which kernels expect of a register that is not there.
 */
#include "cpu.h"
#include "domain.h"
#include "emulate.h"

#define MSR_PLATFORM_ID 0x17u
#define MSR_MICROCODE   0x8bu
#define MSR_MCG_CAP     0x179u
#define MSR_MCG_STATUS  0x17au
#define MSR_MC0_CTL     0x400u /* then STATUS, ADDR, MISC; the next bank's four follow */
#define MC_BANKS        2u     /* as many as real Xen shows its guests */
#define EFER_GUEST      (EFER_SCE | EFER_LME | EFER_LMA | EFER_NX)

/* SDM vol. 3, 16.3.2. A machine check is the machine's own affair and ends it: no guest ever sees
 * one. */
static bool is_bank_msr(uint32_t msr)
{
	return msr - MSR_MC0_CTL < 4 * MC_BANKS;
}

static bool is_bank_control(uint32_t msr)
{
	return is_bank_msr(msr) && msr % 4 == 0;
}

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
	case MSR_MCG_CAP:
		*out = MC_BANKS;
		return true;
	case MSR_MCG_STATUS:
		*out = 0;
		return true;
	default:
		*out = is_bank_control(msr) ? ~0ull : 0;
		return is_bank_msr(msr);
	}
}

/* Segment bases; which machine checks a bank shall report is taken and changes nothing; the rest may
 * only be written as they are, which for a bank's status is the architecture's own rule. */
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
		return is_bank_control(msr) || (msr_read(v, msr, &now) && now == value);
	}
}

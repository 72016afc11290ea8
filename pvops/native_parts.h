/* native_parts.h: bare-metal operations that are functions in native_cpu.c. Private to pvops/.
 *
 * What each does is its row in amphi/pvops.def; native.c has the table.
 */
#ifndef PVOPS_NATIVE_PARTS_H
#define PVOPS_NATIVE_PARTS_H

#include <amphi/pvops.h>

void native_load_gdt(void *table, unsigned entries);
void native_load_idt(const void *gates, unsigned entries);
void native_load_gs_base(uint64_t base);
void native_load_gs_index(uint16_t selector);
int native_read_msr_safe(uint32_t msr, uint64_t *value);
int native_write_msr_safe(uint32_t msr, uint64_t value);
void native_set_ldt(const void *table, unsigned entries);
void native_load_tls(uint64_t *first, const uint64_t *descriptors);
uint64_t native_get_debugreg(unsigned number);
void native_set_debugreg(unsigned number, uint64_t value);
void native_update_io_bitmap(struct x86_tss_ports *tss, const struct pv_ports *ports);
void native_invalidate_io_bitmap(struct x86_tss_ports *tss);

#endif

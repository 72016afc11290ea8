/* control_plan.h: what a domain's configuration says of its size, as a plan for the builder; private to control/.
 *
 * Callers: control.c, which adds the kernel and its command line, and restore_domain.c, where all that is in memory
 * comes from elsewhere. The texts stay the configuration's.
 */
#ifndef CONTROL_CONTROL_PLAN_H
#define CONTROL_CONTROL_PLAN_H

#include <amphi/domain_builder.h>
#include <amphi/domain_config.h>
#include <amphi/host_control.h>

static inline struct domain_plan control_plan(const struct domain_config *c)
{
	return (struct domain_plan){
	    .name = c->name,
	    .kernel_name = c->kernel,
	    .memory_kib = (uint64_t)c->memory_mib * 1024,
	    .max_memory_kib = (uint64_t)c->max_memory_mib * 1024,
	    .max_vcpus = c->max_vcpus,
	    .cpus = c->cpus,
	    .cpu_weight = c->cpu_weight,
	    .cpu_cap = c->cpu_cap,
	    .service = host_own_domid(),
	    .passthrough = c->passthrough,
	};
}

#endif

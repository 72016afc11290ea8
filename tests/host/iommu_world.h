/* iommu_world.h: host_iommu.h for tests: memory that counts, and registers that a model answers.
 *
 * A test that has a model of a unit sets iommu_world_model; one without needs no registers.
 */
#ifndef TESTS_IOMMU_WORLD_H
#define TESTS_IOMMU_WORLD_H

#include <amphi/types.h>

/* Pages that are taken and not given back. */
unsigned iommu_world_pages(void);
/* So many more are given. */
void iommu_world_memory(unsigned pages);
void iommu_world_free(void *page);
/* The last line of the log. */
const char *iommu_world_said(void);

/* A unit's registers: size 4 or 8. NULL: there are none. */
struct iommu_model {
	uint64_t (*read)(unsigned offset, unsigned size);
	void (*write)(unsigned offset, unsigned size, uint64_t value);
};
extern const struct iommu_model *iommu_world_model;
/* How far time goes in a pause is the model's. */
extern void (*iommu_world_pause)(void);

/* The first word of functions' configuration space; of others it is 0. */
struct iommu_config {
	uint32_t bdf, word;
};
extern struct iommu_config iommu_world_configs[4];

/* The table of bridges: of each the buses behind. */
struct iommu_bridge {
	uint16_t bdf;
	uint8_t first, last;
};
extern struct iommu_bridge iommu_world_bridges[4];

#endif

/* domain_config_fuzz.c: no text makes the domain-file parser read outside it, and what it accepts
 * is within the ranges domain_config.h promises. The input is the file.
 *
 * Why: domain files are written by users, and the parser runs in the service domain. Called by
 * libFuzzer; calls control/domain_config.c.
 * links: control/domain_config.c control/config_lex.c control/config_disk.c control/config_vif.c control/config_pci.c control/config_words.c
 * links: control/config_cpus.c lib/printf.c lib/text.c
 */
#include <stdlib.h>
#include <string.h>

#include <amphi/domain_config.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned errors;

static void say(void *ctx, bool is_error, const char *text)
{
	(void)ctx;
	errors += is_error;
	if (strncmp(text, "f:", 2) != 0)
		abort();
}

static void check_accepted(const struct domain_config *c)
{
	if (!c->name[0] || !c->kernel[0] || c->memory_mib < CONFIG_MIN_MEMORY_MIB ||
	    c->max_memory_mib < c->memory_mib || c->max_memory_mib > CONFIG_MAX_MEMORY_MIB ||
	    c->vcpus < 1 || c->vcpus > CONFIG_MAX_VCPUS || c->n_disks > CONFIG_MAX_DISKS)
		abort();
	for (unsigned i = 0; i < c->n_disks; i++) {
		const struct config_disk *d = &c->disks[i];
		uint32_t devid;

		if (!config_vdev_number(d->vdev, &devid) || devid != d->devid)
			abort();
		if (d->cdrom ? !d->readonly : !d->target[0])
			abort();
		if (d->limit.iops > CONFIG_IOPS_MAX || d->limit.bps > CONFIG_BPS_MAX ||
		    d->limit.burst_ms > CONFIG_BURST_MAX_MS)
			abort();
	}
	if (c->n_pci > CONFIG_MAX_PCI)
		abort();
	for (unsigned n = 0; n < c->n_pci; n++)
		if (config_find_pci(c, c->pci[n].segment, c->pci[n].bdf) != &c->pci[n] ||
		    (c->pci[n].slot > 31 && c->pci[n].slot != CONFIG_PCI_ANY_SLOT))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct domain_config config;
	struct config_listener listener = {say, NULL};
	int err;

	errors = 0;
	err = domain_config_parse("f", (const char *)data, size, &listener, &config);
	if ((err == 0) != (errors == 0))
		abort();
	if (err == 0)
		check_accepted(&config);
	return 0;
}

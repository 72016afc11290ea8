/* plain_grants.c: the grants of a world in which nobody has granted anything: each copy fails.
 *
 * For tests and fuzzers of the bridge and of net_fit; those that have a peer bring its grants themselves.
 */
#include <amphi/host.h>

int host_grants_copy(struct gnttab_copy *ops, unsigned count)
{
	while (count--)
		ops[count].status = GNTST_bad_gntref;
	return 0;
}

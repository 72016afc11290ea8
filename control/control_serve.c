/* control_serve.c: a domain that serves others has been made anew, and its guests find it again.
 *
 * A driver domain that ended took its halves of its guests' devices along; the guests' own halves are Closed, or will be, and keep what they are
 * asked meanwhile. When a domain of that name runs again, each device that it serves has its nodes written once more, with the new
 * domain's number: a frontend whose `backend` names another place than before begins there. Ours do; Linux's does not look, and wants its
 * device detached and attached. Callers: control.c. Calls control_block.c, control_net.c. Worker context.
 */
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/string.h>

#include "control_private.h"

/* The number of the domain that serves it by this name now; `now` itself when none does. */
static domid_t server_of(const char *backend, domid_t now)
{
	const struct control_domain *server = backend[0] ? control_find(backend) : NULL;

	return server && server->state == CONTROL_RUNNING ? server->domid : now;
}

static void tell(const struct domain_record *r, const char *kind, const char *backend, int err)
{
	if (err)
		host_log(HOST_LOG_ERROR, "%s: its %s is not %s's again: %s", r->pub.config->name,
			 kind, backend, error_name(err));
	else
		host_log(HOST_LOG_INFO, "%s: its %s is %s's again", r->pub.config->name, kind,
			 backend);
}

static void look_at(struct domain_record *r)
{
	struct domain_config *c = (struct domain_config *)r->pub.config; /* control's own copy */

	for (unsigned i = 0; i < c->n_disks; i++) {
		struct config_disk *disk = &c->disks[i];

		if (server_of(disk->backend, disk->backend_id) != disk->backend_id)
			tell(r, "disk", disk->backend, control_add_disk(r, disk));
	}
	for (unsigned i = 0; i < c->n_vifs; i++) {
		struct config_vif *vif = &c->vifs[i];

		if (server_of(vif->backend, vif->backend_id) != vif->backend_id)
			tell(r, "vif", vif->backend, control_add_vif(r, vif));
	}
}

void control_serve_again(void)
{
	for (struct domain_record *r = control_first(); r; r = r->next)
		if (r->pub.state == CONTROL_RUNNING)
			look_at(r);
}

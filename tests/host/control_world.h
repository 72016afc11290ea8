/* control_world.h: control/ in a world of fakes: hypervisor, store, hooks.
 *
 * The hypervisor is that of fake_control.c, the store that of the mock world. One domain file is ready to be
 * made: "g", 8 MiB, one vCPU, one disk. Tests change it before they make the domain.
 */
#ifndef TESTS_CONTROL_WORLD_H
#define TESTS_CONTROL_WORLD_H

#include <amphi/control.h>

extern struct domain_config world_config;
extern domid_t world_id;       /* of the domain made last */
extern char world_events[512]; /* what the hooks were told, in order */
extern int world_introduce_err, world_console_err;
extern const char *world_kernel_text; /* instead of the good kernel */

#define BACKEND "/local/domain/0/backend/vbd/%u/51712"
#define FRONT   "/local/domain/%u/device/vbd/51712"

/* For cmocka: everything as at the beginning, control started. */
int world_setup(void **state);

/* Makes the domain of world_config, which must work. */
void world_create(void);

/* Everything is as before the first domain. */
void world_expect_nothing_left(void);

/* Nodes by a path with the number of the domain made last for %u; NULL: there is none. */
const char *world_node(const char *fmt, ...);
void world_expect_node(const char *path, const char *value);
void world_set_node(const char *path, const char *value);

#endif

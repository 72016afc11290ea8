/* suspend_order.c: walks the steps of a suspend there and back.
 *
 * Apart from the steps themselves so that a host test can try every place at which one may refuse. Called by
 * suspend.c; calls the steps.
 */
#include <stddef.h>

#include "suspend.h"

/*   stop 0 -> stop 1 -> ... -> stop n-1 -> leave
 *     |         | refuses                    |   another machine, or this one: 0, 1, or an error
 *   go_on 0 <---'             <- go_on n-1 <-'
 *
 * A step that refuses has changed nothing, so the way back begins at the one before it. */
struct suspend_report suspend_run(const struct suspend_step *steps, unsigned n,
				  int64_t (*leave)(void))
{
	struct suspend_report report = {.end = SUSPEND_SAME_WORLD};
	unsigned taken = 0;
	int64_t status;

	while (taken < n && !report.why) {
		report.why = steps[taken].stop ? steps[taken].stop() : NULL;
		if (report.why)
			report.step = steps[taken].name;
		else
			taken++;
	}
	if (!report.why) {
		status = leave();
		if (status == 0)
			report.end = SUSPEND_NEW_WORLD;
		if (status < 0) {
			report.step = "the call";
			report.why = "the hypervisor refuses";
		}
	}
	while (taken-- > 0)
		if (steps[taken].go_on)
			steps[taken].go_on(report.end);
	return report;
}

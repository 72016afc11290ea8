# run-table.awk: makes the table of `make run` from the lines that amphi-tool --stats wrote: each is
# "DOMAIN @stat KEY=VALUE ...". Every figure is one that a domain or the hypervisor reported; what was not
# reported shows as "-". Times are the machine's own, from power-on (tsc / tsc_hz).

function get(who, key) { return (who, key) in v ? v[who, key] : "-" }
function sum(who, part, key,    k, total) {
	for (k in v) {
		split(k, f, SUBSEP)
		if (f[1] == who && f[2] ~ ("^" part) && f[3] == key) total += v[k]
	}
	return total + 0
}
function ms(who,    hz) {
	hz = get("service", "tsc_hz")
	return get(who, "ready_tsc") == "-" || hz == "-" || hz == 0 ? "-" : sprintf("%.1f ms", get(who, "ready_tsc") * 1000 / hz)
}
function ratio(a, b) { return b > 0 ? sprintf("%.3f", a / b) : "-" }
function row(what, value) { printf "%-34s %s\n", what, value }

$2 == "@stat" {
	part = ""
	for (i = 3; i <= NF; i++) {
		eq = index($i, "=")
		key = substr($i, 1, eq - 1); value = substr($i, eq + 1)
		if (key ~ /^(front|back|disk)$/) part = key ":" value
		else if (part == "") v[$1, key] = value
		else v[$1, part, key] = value
	}
	if (!($1 in seen)) { seen[$1] = 1; order[++n] = $1 }
}

END {
	print ""
	row("power-on to hypervisor ready", ms("hv"))
	row("power-on to service domain ready", ms("service"))
	for (i = 1; i <= n; i++)
		if (order[i] != "hv" && order[i] != "service") row("power-on to " order[i] " ready", ms(order[i]))
	for (i = 1; i <= n; i++)
		row("memory of " order[i], get(order[i], "memory_kib") " KiB")
	for (i = 1; i <= n; i++) {
		who = order[i]
		if (get(who, "pv_sites") != "-")
			row("pv sites of " who " (" get(who, "platform") ")", get(who, "pv_sites") ": " get(who, "pv_inline") " inline, " \
			    get(who, "pv_call") " calls, " get(who, "pv_hypercall") " hypercalls, " get(who, "pv_indirect") " left indirect")
	}
	for (i = 1; i <= n; i++) {
		who = order[i]
		requests = sum(who, "front:", "requests")
		if (!requests) continue
		both = sum("service", "back:", "notifications") + sum(who, "front:", "notifications")
		row("bytes " who " read, wrote", sum(who, "front:", "bytes_read") ", " sum(who, "front:", "bytes_written"))
		row("requests of " who, requests " of " sum(who, "front:", "segments") " segments")
		row("notifications per request", ratio(both, requests) " (both directions)")
		row("hypercalls per request", ratio(get(who, "hypercalls"), requests) " by " who ", " \
		    ratio(get("service", "hypercalls"), requests) " by service, boot included")
	}
}

# guests.sh: dom0's run.sh watches the consoles of the domains that it made, and speaks to them; sourced there, as /test/guests.sh.
# step says when it is in the serial log, for who looks for the slow one. says NAME REGEX [TIMES] waits until a console has a line, more NAME REGEX for another, tell NAME
# COMMANDS types a line into it, gone NAME waits until the domain has ended, let_go NAME until a domain of ours has nobody's page; who waits in vain prints MISSED and ends by the test's
# own end(). There is one clock for all waits: dom0's uptime in seconds, until $patience; lib.sh ends what takes longer yet.
patience=2000
logs=/var/log/xen/console
step() { echo "STEP $(cut -d' ' -f1 /proc/uptime) $*"; }
waits_for() { # waits_for WORDS...: has a moment passed; not for ever
	[ "$(cut -d. -f1 /proc/uptime)" -lt "$patience" ] || { echo "MISSED $*"; end 1; }
	sleep 0.2
}
says() { # says NAME REGEX [TIMES]
	step "$1 $2"
	until_said -n "${3:-1}" -t "$patience" "$2" $logs/guest-$1.log || { echo "MISSED $1: $2"; end 1; }
}
more() { # more NAME REGEX: one more than there were
	says $1 "$2" $(($(grep -acE "$2" $logs/guest-$1.log) + 1))
}
gone() {
	step "$1 goes"
	while xl domid $1 >/dev/null 2>&1; do
		waits_for "the end of $1"
		timeout 2 xenstore-watch -n 2 @releaseDomain >/dev/null 2>&1 # xl is slow: not all the time
	done
}
let_go() { # let_go NAME [REGEX]: of what `mem` says; those who have ended were let go when it has its turn
	until grep -aqE "${2:-granted to others 0 pages, of others 0 pages}" $logs/guest-$1.log; do
		waits_for "$1 lets go"
		tell $1 mem
		sleep 0.5
	done
}
tell() { echo "$2" >"$(xenstore-read /local/domain/$(xl domid $1)/console/tty)"; }

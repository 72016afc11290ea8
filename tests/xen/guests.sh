# guests.sh: dom0's run.sh watches the consoles of the domains that it made, and speaks to them; sourced there, as /test/guests.sh.
# step says when it is in the serial log, for who looks for the slow one. says NAME REGEX waits until a console has a line, tell NAME
# COMMANDS types a line into it, gone NAME waits until the domain has ended; who waits in vain prints MISSED and ends by the test's
# own end(). There is one clock for all waits: dom0's uptime in seconds, until $patience; lib.sh ends what takes longer yet.
patience=2000
logs=/var/log/xen/console
step() { echo "STEP $(cut -d' ' -f1 /proc/uptime) $*"; }
waits_for() { # waits_for WORDS...: has a moment passed; not for ever
	[ "$(cut -d. -f1 /proc/uptime)" -lt "$patience" ] || { echo "MISSED $*"; end 1; }
	sleep 0.2
}
says() {
	step "$1 $2"
	until grep -aqE "$2" $logs/guest-$1.log 2>/dev/null; do waits_for "$1: $2"; done
}
gone() {
	step "$1 goes"
	while xl domid $1 >/dev/null 2>&1; do waits_for "the end of $1"; done
}
tell() { echo "$2" >"$(xenstore-read /local/domain/$(xl domid $1)/console/tty)"; }

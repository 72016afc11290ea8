# cpus.sh: what a kernel's output says of its CPUs; sourced by the tests of several CPUs in domains.
# cpus_archive FILE packs the programs they run. cpus_fine FILE N WHO: N programs ended, each with 0, the domain
# too. cpus_took_part FILE N WHO: in the last list N CPUs are online and threads ran on each.
cpus_archive() {
	(cd "$BUILD/user" && echo load | cpio --quiet -o -H newc) >"$1"
}
cpus_fine() {
	[ "$(grep -c '^@program .* exit 0$' "$1")" = "$2" ] && ! grep -q '^@program .* exit [^0]' "$1" &&
		! grep -q '^@program .* ended' "$1" && grep -q '^@exit 0' "$1" && return
	echo "$3: not all $2 programs ended well:"; tail -n 60 "$1"; exit 1
}
cpus_took_part() {
	[ "$(awk '/^ cpu / { n = 0 } $3 == "online" && $6 > 0 { n++ } END { print n + 0 }' "$1")" = "$2" ] && return
	echo "$3: not all $2 CPUs took part:"; tail -n 60 "$1"; exit 1
}
# What each of them does: programs that check all they own while CPUs leave and return, the clock on all of
# them, and the list.
cpus_words() { # cpus_words CPUS
	echo "run -$(($1 * 2)) load 50; mem; run -$(($1 * 3)) load ${CPUS_MS:-500} &; cpu cycle 3; wait; mem; clock 300; cpu; pvops verify; halt"
}
cpus_check() { # cpus_check FILE CPUS WHO
	cpus_fine "$1" "$(($2 * 5))" "$3"
	cpus_took_part "$1" "$2" "$3"
	grep -q "^clock of $2 CPUs .* 0 steps back" "$1" || { echo "$3: the clock"; grep ^clock "$1"; exit 1; }
	grep -q "^@cpu count=$2 online=$2" "$1" || { echo "$3: not $2 CPUs"; tail -n 30 "$1"; exit 1; }
	grep -q '^@pvops indirect=0 differing=0' "$1" || { echo "$3: sites differ"; exit 1; }
	# A program takes more; the heap may have filled a page or two, or given them back.
	[ "$(sed -n 's/^memory .* free \([0-9]*\) KiB.*/\1/p' "$1" | tr '\n' ' ' | awk '{ print ($1 - $2 <= 16) }')" = 1 ] ||
		{ echo "$3: pages were lost:"; grep ^memory "$1"; exit 1; }
}

#!/bin/sh
# Runs one test for run.sh: one.sh PATH, with BUILD, FUZZ_SECONDS, FUZZ_SEED and out (where logs go) set. Prints its
# verdict, and what it said when it failed; leaves NAME.log and NAME.verdict in $out.
# A test has 600 s unless a line "timeout: N" in its script or source says more: a busy machine is no fault of a test.
set -u

one() {	# one NAME COMMAND...: runs a test, keeps its output and verdict
	name=$1; shift
	limit=$(sed -n 's,^.*timeout: *\([0-9]*\).*,\1,p' "$1" 2>/dev/null | head -n 1)
	[ "${limit:-0}" -gt 600 ] || limit=600
	file=$out/$(echo "$name" | tr / _)
	start=$(date +%s)
	timeout -k 10 "$limit" "$@" >"$file.log" 2>&1 </dev/null
	status=$?
	took=$(($(date +%s) - start))
	case $status in
	0) verdict=ok ;;
	77) verdict="skip: $(tail -n 1 "$file.log")" ;;
	124) verdict="FAILED (over $limit s)" ;;
	*) verdict="FAILED (exit $status)" ;;
	esac
	echo "$verdict" >"$file.verdict"
	printf '%-44s %4s s  %s\n' "$name" "$took" "$verdict"
	case $verdict in FAILED*) sed 's/^/    | /' "$file.log" | tail -n 60 ;; esac
}

# libFuzzer's own exit code for a finding is 77, which here means skipped: hence -error_exitcode.
fuzz_one() {	# a fuzzer: from its seeds, for FUZZ_SECONDS, by the choices of FUZZ_SEED; findings are left beside its log
	name=$(basename "$1")
	seeds=tests/fuzz/seeds/$name corpus=$out/corpus.$name
	mkdir -p "$corpus"
	[ -d "$seeds" ] || seeds=
	one "fuzz/$name" "$1" -max_total_time="$FUZZ_SECONDS" -seed="$FUZZ_SEED" -timeout=10 -rss_limit_mb=2048 \
		-print_final_stats=1 -error_exitcode=1 -artifact_prefix="$corpus/" "$corpus" $seeds
}

case $1 in
*/fuzzers/*) fuzz_one "$1" ;;
tests/*) one "${1#tests/}" "$1" ;;
*) one "host/$(basename "$1")" "$1" ;;
esac
exit 0

#!/bin/sh
# Runs every test and prints one line for each, the output of those that fail, and at the end
# "N passed, N failed, N skipped": run.sh [all|fuzz] [PATTERN]. What a test is: a host program in
# $BUILD/tests, a fuzzer in $BUILD/fuzzers (FUZZ_SECONDS each), or an executable *_test.sh|py in
# tests/{structure,tool,qemu,xen}. Exit 0 passed, 77 skipped (its last line is the reason).
# Two run side by side, each by one.sh. With AGAIN=1 (continuous integration, whose machines are shared and stop for
# seconds) an emulated machine that failed beside another is tried once more, alone; that is said at the end, with why.
set -u
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
what=${1:-all} pattern=${2:-.}
# The brief fuzzing of a whole run makes the same choices each time, so that what fails is what changed; 0: new ones.
[ "$what" = fuzz ] && seed=0 || seed=1
export BUILD FUZZ_SECONDS="${FUZZ_SECONDS:-1}" FUZZ_SEED="${FUZZ_SEED:-$seed}"
out=$BUILD/test-out
rm -rf "$out"; mkdir -p "$out"

list=$out/list
{
	ls tests/structure/*_test.* 2>/dev/null
	ls -d "$BUILD"/tests/*_test 2>/dev/null
	ls tests/tool/*_test.* tests/qemu/*_test.* tests/xen/*_test.* 2>/dev/null
	ls -d "$BUILD"/fuzzers/*_fuzz 2>/dev/null
} | grep -E "$pattern" >"$list.all"
if [ "$what" = fuzz ]; then grep /fuzzers/ "$list.all" >"$list"; else cp "$list.all" "$list"; fi
# Only programs whose source is still there: a build directory may hold older ones.
while read -r t; do
	case $t in
	*/fuzzers/*) [ -e "tests/fuzz/$(basename "$t").c" ] && echo "$t" ;;
	"$BUILD"/tests/*) [ -e "tests/host/$(basename "$t").c" ] && echo "$t" ;;
	*) echo "$t" ;;
	esac
done <"$list" >"$list.now"
export out
xargs -P 2 -n 1 tests/one.sh <"$list.now"

failures() { grep -l '^FAILED' "$out"/*.verdict 2>/dev/null; }
log_end() { # of what libFuzzer says, the error and the input that shows it
	grep -avE '^(#|stat::|MS: |0x|NOTE|\\|SUMMARY|artifact|$)| +#[0-9]|NEW_FUNC|better crash' "$1" | sed 's/^/    | /' | tail -n 8
}

unsteady=
tries=$(failures | grep -E '/(qemu|xen)_')
[ "${AGAIN:-0}" = 1 ] && [ "$(echo "$tries" | wc -w)" -le 4 ] || tries=
for v in $tries; do
	name=$(basename "$v" .verdict)
	mv "$out/$name.log" "$out/$name.first"
	tests/one.sh "tests/$(echo "$name" | sed 's,_,/,')"
	grep -q '^FAILED' "$v" || unsteady="$unsteady $name"
done

for name in $unsteady; do echo "$name:"; log_end "$out/$name.first"; done
for v in $(failures); do echo "$(basename "$v" .verdict):"; log_end "${v%.verdict}.log"; done
[ -z "$unsteady" ] || echo "failed beside another test, passed alone:$unsteady"
[ -z "$(failures)" ] || echo "failed:" $(failures | sed 's,.*/,,; s,\.verdict$,,')
passed=$(cat "$out"/*.verdict 2>/dev/null | grep -c '^ok')
failed=$(cat "$out"/*.verdict 2>/dev/null | grep -c '^FAILED')
skipped=$(cat "$out"/*.verdict 2>/dev/null | grep -c '^skip')
[ "$((passed + failed + skipped))" = "$(wc -l <"$list.now")" ] || { echo "tests were lost"; failed=$((failed + 1)); }
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]

#!/bin/sh
# Runs every test and prints one line for each, the output of those that fail, and at the end
# "N passed, N failed, N skipped": run.sh [all|fuzz] [PATTERN]. What a test is: a host program in
# $BUILD/tests, a fuzzer in $BUILD/fuzzers (FUZZ_SECONDS each), or an executable *_test.sh|py in
# tests/{structure,tool,qemu,xen}. Exit 0 passed, 77 skipped (its last line is the reason).
# Two run side by side, each by one.sh.
set -u
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
export BUILD FUZZ_SECONDS="${FUZZ_SECONDS:-3}"
what=${1:-all} pattern=${2:-.}
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

passed=$(cat "$out"/*.verdict 2>/dev/null | grep -c '^ok')
failed=$(cat "$out"/*.verdict 2>/dev/null | grep -c '^FAILED')
skipped=$(cat "$out"/*.verdict 2>/dev/null | grep -c '^skip')
[ "$((passed + failed + skipped))" = "$(wc -l <"$list.now")" ] || { echo "tests were lost"; failed=$((failed + 1)); }
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]

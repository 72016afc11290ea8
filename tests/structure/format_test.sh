#!/bin/sh
# format_test: every C file is as clang-format writes it with the house's configuration. Why: nobody should have to think
# about blanks, and a change should show only what it changes. Expected: no file that would be written otherwise.
cd "$(dirname "$0")/../.." || exit 1
# Asked of git, so that build directories of any name are left out; in an unpacked archive there is only make's own.
files=$(git ls-files '*.c' '*.h' 2>/dev/null)
[ -n "$files" ] || files=$(find . -name build -prune -o -name '*.[ch]' -print)
said=$(echo "$files" | xargs clang-format --dry-run -Werror 2>&1) && { echo "every C file is formatted"; exit 0; }
echo "clang-format -i would change:"; echo "$said" | sed -n 's/:[0-9]*:[0-9]*: error:.*//p' | sort -u
[ -n "$said" ] || echo "(clang-format says nothing, and is not content)"
exit 1

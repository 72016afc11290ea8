#!/bin/sh
# format_test: every C file is as clang-format writes it with the house's configuration. Why: nobody should have to think
# about blanks, and a change should show only what it changes. Expected: no file that would be written otherwise.
cd "$(dirname "$0")/../.." || exit 1
bad=$(git ls-files '*.c' '*.h' | while read -r f; do clang-format --dry-run -Werror "$f" >/dev/null 2>&1 || echo "$f"; done)
[ -z "$bad" ] && { echo "every C file is formatted"; exit 0; }
echo "clang-format -i would change:"; echo "$bad"; exit 1

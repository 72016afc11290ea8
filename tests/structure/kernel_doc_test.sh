#!/bin/sh
# kernel_doc_test: docs/kernel.md names every shell command, every word of the kernel command line, and
# every kind of report line there is. Why: programs and people rely on that page. Expected: none missing.
cd "$(dirname "$0")/../.."
bad=0
missing() { # missing KIND WORD
	echo "docs/kernel.md does not name $1 '$2'"
	bad=1
}

commands=$(sed -n 's/^[ \t]*{"\([a-z0-9-]*\)", "[^"]*", *\(".*\)*$/\1/p; s/^[ \t]*{"\([a-z0-9-]*\)",$/\1/p' kernel/commands_*.c kernel/service_commands.c)
# A row of these has its words in a struct of its own.
commands="$commands $(sed -n 's/^ *{{"\([a-z-]*\)", "[^"]*".*/\1/p' control/ctl_commands.c)"
[ "$(echo $commands | wc -w)" -ge 25 ] || { echo "the tables of commands were not understood"; exit 1; }
for c in $commands; do
	grep -qE "\`$c([ \`]|\$)|, \`$c" docs/kernel.md || missing command "$c"
done

words=$(sed -n '/^} keys\[\] = {/,/^};/p' kernel/cmdline.c | grep -o '{"[a-z_]*"' | tr -d '{"')
[ "$(echo "$words" | wc -l)" -ge 5 ] || { echo "the table of words was not understood"; exit 1; }
for w in $words; do
	grep -qE "^\| \`$w[=\`]" docs/kernel.md || missing word "$w"
done

lines=$(grep -ohE '"(\\n)?@[a-z0-9]+|\\n@[a-z0-9]+' kernel/*.c | sed 's/.*@//' | sort -u)
for l in $lines; do
	grep -q "^| \`@$l" docs/kernel.md || missing "report line" "@$l"
done
[ $bad = 0 ] && echo "commands: $(echo $commands | wc -w), words: $(echo "$words" | wc -l), report lines: $(echo "$lines" | wc -l)"
exit $bad

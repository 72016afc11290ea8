#!/bin/sh
# Writes docs/tour.md to standard output: the text of docs/tour.in, in which each line "@ PATTERN..." stands for
# the files it names (REST:PATTERN: those not named before), each with the opening words of its own first comment. So the tour says of a file what
# the file says of itself, and tests/structure/docs_test.sh can tell when it no longer does. Called by docs.sh.
cd "$(dirname "$0")/.." || exit 1
opening() { # the first two paragraphs of a file's first comment, on one line, as far as they are prose
	awk '
	FNR == 1 && /^#!/ { next }
	/^[ \t]*(\/?\*+\/?|#)?[ \t]*$/ { if (text != "" && ++paragraphs == 2) exit; next }
	paragraphs && /^[ \t]*(\*|#)[ \t]*( \t*-|   |\t|[^ ]* <?-)/ { exit }
	/^[ \t]*(\*|#)[ \t]*(links|timeout):/ { exit }
	{ line = $0
	  if (text != "" && FILENAME ~ /\.sh$/ && line !~ /^#/) exit
	  last = line ~ /\*\//
	  sub(/^[ \t]*(\/\*+|\*|#|""")[ \t]?/, "", line); sub(/[ \t]*\*\/.*/, "", line)
	  text = text (text == "" ? "" : " ") line
	  if (last) exit }
	END { print text }' "$1"
}
seen=$(mktemp); trap 'rm -f "$seen"' EXIT
files() { # the words as they are; REST:PATTERN is what no earlier line has named
	for word; do
		case $word in
		REST:*) for f in ${word#REST:}; do grep -qxF "$f" "$seen" || echo "$f"; done ;;
		*) echo "$word" ;;
		esac
	done | grep -E '\.(c|h|S|def|lds|sh|py|awk)$' | tee -a "$seen"
}
while IFS= read -r line; do
	case $line in
	"@ "*)
		for f in $(files ${line#@ }); do
			words=$(opening "$f" | sed "s,^$(basename "$f"): *,,")
			printf -- '- **`%s`**: %s\n' "$f" "$words"
		done ;;
	*) printf '%s\n' "$line" ;;
	esac
done <docs/tour.in

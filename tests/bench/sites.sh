# sites.sh: what pvops take up in the text, and whether the hot ones run the instructions of a kernel without them, no more.
# Taken in by tests/bench.sh. Sites are read out of the kernel as it runs natively, patched (tests/plain/hot_sites.sh).
. tests/plain/hot_sites.sh
hot_sites >"$work/hot" || true
grep -q '^all sites=' "$work/hot" || { cat "$work/hot"; echo "bench: the sites could not be read"; exit 1; }
echo "hot operations natively: sites with other instructions than without pvops, or more"
grep '^hot ' "$work/hot" | while read -r _ name sites differing _ _ instructions; do
	printf '%s %s %s\n' "$name" "${differing#*=}" "${sites#*=} sites, ${instructions}"
done >"$work/hot.lines"
while read -r name differing what; do
	figure "  $name: $what" "$differing" 0
done <"$work/hot.lines"
echo "text"
figure "  bytes of pv sites, of $(get "$work/hot" '^all' sites)" "$(get "$work/hot" '^all' bytes)"
figure "  bytes of their records" "$(get "$work/hot" '^all' records)"
figure "  bytes of text and constants without pvops" "$(size "$BUILD/amphi-plain" | awk 'NR == 2 { print $1 }')"
figure "  bytes of text and constants with them" "$(size "$BUILD/amphi" | awk 'NR == 2 { print $1 }')"

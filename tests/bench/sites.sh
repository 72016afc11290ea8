# sites.sh: what pvops take up in the text. Taken in by tests/bench.sh.
echo "text"
figure "  bytes of text without pvops" "$(size "$BUILD/amphi-plain" | awk 'NR == 2 { print $1 }')"
figure "  bytes of text with them" "$(size "$BUILD/amphi" | awk 'NR == 2 { print $1 }')"

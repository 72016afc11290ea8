# shares.sh: what a guest gets of a disk that another floods: its share of the cost (the bytes of requests and 16 KiB for
# each), as blkstat counts it in the service domain over the same time. Once the flood is long requests; once both read 4 KiB, but the
# flood has 64 in flight, always, and the other one 16. Taken in by tests/bench.sh; lib.sh has the words.
share_of() { # share_of FLOOD-WORDS OTHER-WORDS: the other one's, in per cent of its half; 100 is fair
	for guest in "flood $1" "other $2"; do
		cat >"$work/${guest%% *}.cfg" <<-C
		name = "${guest%% *}"
		kernel = "$BUILD/amphi"
		memory = 12
		cmdline = 'role=guest do="bench ${guest#* }"'
		disk = ['vdev=xvda,format=raw,access=rw,target=ram0']
		C
	done
	"$BUILD/amphi-tool" run --icount --timeout 600 \
		--service-args 'stay do="sleep 100; blkstat --json; sleep 300; blkstat --json; halt"' \
		"$work/flood.cfg" "$work/other.cfg" </dev/null >"$work/shares" 2>&1 || true
	sed -n 's/^\[service\] ,*\({.*"queue":null.*}\)\r*$/\1/p' "$work/shares" | python3 -c '
import json, sys
cost = {}
for row in map(json.loads, sys.stdin):
    c = row["bytes_read"] + 16384 * row["requests"]
    cost[row["name"]] = c - cost.get(row["name"], 0)
print(round(200 * cost["other"] / sum(cost.values())))'
}

shares() { # shares WHAT SHARE
	echo "$1"
	figure "  the other one's share, in per cent of its half" "$2"
	figure "  how far from it, in per cent" $(($2 > 100 ? $2 - 100 : 100 - $2)) 10
}
shares "two guests on one RAM disk, one floods it with requests of 256 KiB" \
	"$(share_of "read xvda 16 1000000 64" "random xvda 32 1000000 16")"
shares "two guests on one RAM disk, one with 64 reads of 4 KiB in flight, the other with 16" \
	"$(share_of "random xvda 64 1000000" "random xvda 16 1000000")"

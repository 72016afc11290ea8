# shares.sh: what a guest gets of a disk that another floods with long requests: its share of the cost (the bytes of
# requests and 16 KiB for each), as blkstat counts it in the service domain. Taken in by tests/bench.sh; lib.sh has the words.
for guest in "flood read xvda 16 1000000 64" "other random xvda 32 1000000 16"; do
	cat >"$work/${guest%% *}.cfg" <<-C
	name = "${guest%% *}"
	kernel = "$BUILD/amphi"
	memory = 8
	cmdline = 'role=guest do="bench ${guest#* }"'
	disk = ['vdev=xvda,format=raw,access=rw,target=ram0']
	C
done
"$BUILD/amphi-tool" run --icount --timeout 200 \
	--service-args 'stay do="sleep 100; blkstat --json; sleep 300; blkstat --json; halt"' \
	"$work/flood.cfg" "$work/other.cfg" </dev/null >"$work/shares" 2>&1 || true

# In per cent of its half; 100 is fair.
fair=$(sed -n 's/^\[service\] ,*\({.*"queue":null.*}\)\r*$/\1/p' "$work/shares" | python3 -c '
import json, sys
cost = {}
for row in map(json.loads, sys.stdin):
    c = row["bytes_read"] + 16384 * row["requests"]
    cost[row["name"]] = c - cost.get(row["name"], 0)
print(round(200 * cost["other"] / sum(cost.values())))')
echo "two guests on one RAM disk, one floods it with requests of 256 KiB"
figure "  the other one's share, in per cent of its half" "$fair"
figure "  how far from it, in per cent" $((fair > 100 ? fair - 100 : 100 - fair)) 10

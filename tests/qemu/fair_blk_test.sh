#!/bin/sh
# fair_blk_test: guests of one disk share it, and each keeps to its limit, on amphi-hv with a RAM disk, of which each has
# a slice. Why: a guest that asks for all there is must not make another's disk slow, and who pays for a part of a disk gets
# that part. Expected, by the service domain's own counters (blkstat, read by a script): the same load gets the same within
# 10 %; beside a flood of long requests a guest has its half of the disk within 10 %; iops= and bps= hold within 10 %, from
# the start and when they are changed, and what they leave is the others'; a request that is traced has its steps in order,
# from its submission in the guest to its end there.
# Time is counted in instructions: a busy machine changes nothing.
# timeout: 120
set -u
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/lib/archive.sh

strip -g -o "$work/amphi" "$BUILD/amphi"
ar_file /amphi "$work/amphi"
guest() { # guest NAME COMMAND DISK...
	name=$1 command=$2; shift 2
	ar_domain "$name" <<C
name = "$name"
kernel = "/amphi"
memory = 8
cmdline = 'role=guest do="$command"'
disk = [$(printf "'%s'," "$@")]
C
}
# Each of them wants more than it can get: they never end.
guest one 'bench random xvda 32 1000000 16' 'ram0@0+1M,raw,xvda,w'
guest two 'bench random xvda 32 1000000 16' 'ram0@1M+1M,raw,xvda,w'
guest slow 'bench random xvda 32 1000000' 'ram0@2M+1M,raw,xvda,w,iops=2000'
guest flood 'bench read xvda 16 1000000 64' 'ram0@3M+1M,raw,xvda,w'
ar_pack "$work/archive"

look="blkstat --json"
timeout -k 5 300 qemu-system-x86_64 -M q35 -accel tcg -icount shift=0,sleep=off -rtc clock=vm -cpu max -m 128 -nodefaults \
	-display none -no-reboot -serial stdio -monitor none -kernel "$BUILD/amphi-hv" -append dom0_mem=32M \
	-initrd "$BUILD/amphi dma_panic role=service stay do=\"sleep 50; pause slow; pause flood; sleep 50; $look; sleep 200; $look; \
blktrace 7 two xvda; unpause slow; sleep 50; $look; sleep 200; $look; blktrace off; sleep 100; blktrace --json; pause slow; \
block-limit one xvda bps=20M burst=20ms; sleep 200; $look; sleep 200; $look; \
block-limit one xvda bps=0; pause one; unpause flood; sleep 50; $look; sleep 300; $look; halt\",$work/archive" \
	</dev/null 2>&1 | tr -d '\r' >"$work/log"

python3 - "$work/log" <<'P' || { tail -n 40 "$work/log" | cut -c1-300; exit 1; }
import json, sys
text = open(sys.argv[1]).read()
answers, at = [], 0
while (at := text.find("\n[\n", at)) >= 0:
    rows, at = json.JSONDecoder().raw_decode(text, at + 1)
    answers.append(rows)
stats = [{r["name"]: r for r in a if r["queue"] is None} for a in answers if "requests" in a[0]]
traces = [a for a in answers if "taken_ns" in a[0]]
assert len(stats) == 8 and len(traces) == 1, (len(stats), len(traces))

def grew(i, name, key):
    return stats[i + 1][name][key] - stats[i][name][key]
def near(what, is_, wanted, part=0.1):
    print(f"{what}: {is_} (of {wanted:.0f})")
    if abs(is_ - wanted) > wanted * part:
        sys.exit(f"{what}: {is_} is not {wanted:.0f} within {part:.0%}")

a, b = (grew(0, n, "requests") for n in ("one", "two"))
near("the same load, requests of one", a, (a + b) / 2)
before = a + b
near("iops=2000 from the start", grew(2, "slow", "requests"), 400)
a, b = (grew(2, n, "requests") for n in ("one", "two"))
near("beside it the others share the rest", a, (a + b) / 2)
near("and it is what they had", a + b, before)
near("bps=20M set while it runs", grew(4, "one", "bytes_read"), 4 << 20)
cost = {n: grew(6, n, "bytes_read") + 16384 * grew(6, n, "requests") for n in ("two", "flood")}
near("beside a flood, cost", cost["two"], sum(cost.values()) / 2)
for name, s in stats[-1].items():
    rings = [r for r in answers[-1] if r["name"] == name and r["queue"] is not None]
    for key in ("bytes_read", "bytes_written", "merged"):
        assert sum(r[key] for r in rings) == s[key], (name, key, rings, s)
    assert s["merged"] > 0, "requests of several pages"
    assert s["errors"] == s["refused"] == 0, (name, s)
    assert sum(int(p.split(":")[1]) for p in s["latency"].split()) <= s["requests"]
assert stats[-1]["slow"]["held"] > 0 and stats[-1]["flood"]["waited"] > 0
for t in traces[0]:
    steps = [t[k] for k in ("mapped_ns", "turn_ns", "disk_ns", "answered_ns")]
    assert t["name"] == "two" and t["status"] == "ok" and sum(steps) == t["all_ns"], t
    assert t["disk_ns"] > 0 and t["bytes"] % 16384 == 0, t
    assert t["number"] % 7 == 0, t
whole = [t for t in traces[0] if t["whole_ns"] is not None]
for t in whole:
    steps = [t[k] for k in ("put_ns", "told_ns", "reached_ns", "all_ns", "seen_ns", "done_ns")]
    assert sum(steps) == t["whole_ns"] and t["submitted_ns"] + sum(steps[:3]) == t["taken_ns"], t
    assert t["put_ns"] > 0 and t["reached_ns"] > 0 and t["seen_ns"] > 0 and t["done_ns"] > 0, t
assert len(whole) >= len(traces[0]) / 2, "of most the frontend told its steps too"
print(len(traces[0]), "requests traced,", len(whole), "from the frontend on; one of them:", whole[-1])
P

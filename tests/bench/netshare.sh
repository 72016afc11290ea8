# netshare.sh: what guests have of a network that one service domain makes: what a frame costs into a guest beside out of it, how
# many hypercalls and notifications that takes, what a neighbour's flood leaves of a guest's rate, and the memory of many interfaces.
# Guests of ours on amphi-hv; instructions count as time does, and count_plugin.c counts those that were executed.
#
# The guests of the flood ask each other for echoes, one each 5 ms, and share one processor with the flood, the service domain and the
# hypervisor: they use a third of it. The flood is as many frames as it can make. A guest's rate is what its interface in the service domain counted in a
# second, in and out, so an echo that was lost or late is missing. Against Linux: nets.sh, netwire.sh. Taken in by tests/bench.sh; lib.sh has the words.
. tests/lib/archive.sh
"${CC:-gcc}" -O2 -shared -fPIC -o "$work/count.so" tests/bench/count_plugin.c
own=0x2ef930686a3d # of the service domain's interface in xenbr0: made of that name (drivers-back/bridge.c)
guest() { # guest NAME MIB VCPUS IP WORDS VIF...: an interface for each VIF, the end of its address
	name=$1 mib=$2 vcpus=$3 ip=$4 words=$5 vifs=; shift 5
	for vif in "$@"; do vifs="$vifs\"mac=00:16:3e:00:$vif\", "; done
	printf 'name = "%s"\nkernel = "/amphi"\nmemory = %s\nvcpus = %s\nvif = [%s]\ncmdline = '"'role=guest ip=%s do=\"%s\"'\n" \
		"$name" "$mib" "$vcpus" "$vifs" "$ip" "$words" | ar_domain "$name"
}
machine() { # machine NAME WORDS-OF-THE-SERVICE QEMU...: what ar_* has put together
	log=$work/$1 words=$2; shift 2
	ar_file /amphi "$BUILD/amphi"
	ar_pack "$work/archive"
	in_qemu 300 "$log" -m 512 -kernel "$BUILD/amphi-hv" -append dom0_mem=48M -initrd "$BUILD/amphi role=service $words,$work/archive" "$@"
	grep -q '^@exit 0' "$log" || { tail -n 40 "$log"; echo "bench: the guests did not end well ($log)"; exit 1; }
}

# ---- one frame, each way --------------------------------------------------------------------------
# Warm, then two sizes, out of the guest, into it, and from guest to guest, with the counters of all interfaces before and after each.
frames=20000
send() { echo "netsend $1 $frames 60 $2; netsend $1 $frames 60 $2; netsend $1 $frames 1514 $2"; }
ar_new
guest a 128 1 off "$(send eth0 $own); sleep 2000; $(send eth0 0x00163e00000b); sleep 4000; halt" 00:0a
guest b 128 1 off "sleep 9000; halt" 00:0b
machine frames "ip=off do=\"sleep 1500; netstat; $(send xenbr0 0x00163e00000a); netstat; sleep 1500; netstat\"" -plugin "$work/count.so"
# The n-th of nine spans: three loads of three. per NUMBER: instructions of a frame; per NUMBER calls: hypercalls.
per() {
	sed -n 's/^mark=1\([67]\) at=\([0-9]*\) hypercalls=\([0-9]*\)$/\1 \2 \3/p' "$work/frames.err" | awk -v which="$1" -v what="${2:-all}" -v n=$frames '
		$1 == 6 { at = $2; calls = $3 }
		$1 == 7 && ++span == which { if (what == "all") printf "%d", ($2 - at) / n; else printf "%.4f", ($3 - calls) / n }'
}
# Both ways, of all interfaces, in the FROM-th to the TO-th netstat, for each of the 3 n frames between.
notified() { # notified FROM TO
	awk -v from="$1" -v to="$2" -v n=$frames '
		/^@stat net=xenbr0 mac/ { round++ }
		/^@stat net=vif.* queue=/ { for (i = 1; i <= NF; i++) if (split($i, word, "=") && word[1] ~ /^notif/) sum[round] += word[2] }
		END { printf "%.4f", (sum[to] - sum[from]) / (3 * n) }' "$work/frames"
}
echo "a frame of our pair, instructions of all domains and the hypervisor (netshare.sh says how it is counted)"
k=2
for size in 60 1514; do
	figure "  $size bytes, guest to service domain" "$(per $k)"
	figure "  $size bytes, service domain to guest" "$(per $((k + 3)))"
	figure "    in per cent of the other way" $(($(per $((k + 3))) * 100 / $(per $k))) 150
	figure "  $size bytes, guest to guest" "$(per $((k + 6)))"
	k=$((k + 1))
done
for k in 2 3; do
	size=$([ $k = 2 ] && echo 60 || echo 1514)
	figure "hypercalls for a frame of $size bytes, guest to service domain" "$(per $k calls)" 0.03125
	figure "  service domain to guest" "$(per $((k + 3)) calls)" 0.03125
	figure "  guest to guest" "$(per $((k + 6)) calls)" 0.03125
done
figure "notifications for a frame, service domain to guest" "$(notified 1 2)" 0.03125
figure "  guest to guest" "$(notified 2 3)" 0.03125

# ---- memory ------------------------------------------------------------------------------------------
ar_new
for g in 1 2; do
	words=
	for i in 0 1 2 3 4 5 6 7; do words="$words netsend eth$i 2000 60 $own; netsend eth$i 2000 1514 0xffffffffffff;"; done
	# shellcheck disable=SC2086
	guest many$g 128 2 off "$words sleep 12000; halt" 0$g:00 0$g:01 0$g:02 0$g:03 0$g:04 0$g:05 0$g:06 0$g:07
done
machine many 'ip=off do="sleep 10000; stats; netstat"'
connected=$(grep -c '^@stat net=vif.* queues=2 used=1' "$work/many")
memory=$(sed -n 's/^@stat memory_kib=\([0-9]*\) free_kib=.*/\1/p' "$work/many" | tail -n 1)
least=$(sed -n 's/^@stat memory_kib=.* free_kib=\([0-9]*\).*/\1/p' "$work/many" | sort -n | head -n 1)
[ "$connected" = 16 ] || { grep vif "$work/many"; echo "bench: not 16 interfaces of 2 queues but $connected"; exit 1; }
[ "$(grep -c '@sent .*size=1514 frames=2000 ' "$work/many")" = 16 ] || { grep @sent "$work/many"; echo "bench: not all frames went"; exit 1; }
echo "a service domain with 16 interfaces of 2 queues"
figure "  memory, KiB: all of them used" "$memory" 49152
figure "    of it in use, at most" $((memory - least))

# ---- a flood -----------------------------------------------------------------------------------------
quiet() { # quiet NAME WORDS-OF-THE-SIXTEENTH: makes $work/NAME.rates, a line of each guest: number, frames in a second
	ar_new
	for i in 0 1 2 3 4 5 6 7 8 9 a b c d e; do
		guest g$i 16 1 10.0.0.$((0x$i + 1))/24 "sleep 1000; ping -q -i 5 -c 1000000 10.0.0.$(((0x$i + 1) % 15 + 1))" 00:0$i
	done
	guest gf 16 1 off "sleep 1500; $2" 00:0f
	machine "$1" 'ip=10.0.0.254/24 stay do="sleep 3000; netstat; sleep 1000; netstat; halt"'
	sed -n 's/^@stat net=vif\([0-9]*\).0 queue=0 frames_in=\([0-9]*\) .*/\1 \2/p' "$work/$1" |
		awk '$1 in before { print $1, $2 - before[$1] } { before[$1] = $2 }' >"$work/$1.rates"
	[ "$(wc -l <"$work/$1.rates")" = 16 ] || { cat "$work/$1.rates"; echo "bench: not 16 guests ($1)"; exit 1; }
}
# In per cent of what it has without the flood, the one that lost most.
kept() { awk 'NR == FNR { alone[$1] = $2; next } $1 != 16 { p = 100 * $2 / alone[$1]; if (least == "" || p < least) least = p }
	END { printf "%.1f", least }' "$work/alone.rates" "$work/$1.rates"; }
flooded() { # flooded WHAT NAME SIZE TO
	quiet "$2" "netsend eth0 100000000 $3 $4"
	kept=$(kept "$2")
	figure "  $1: the worst off keeps, per cent" "$kept"
	figure "    and loses" "$(echo "$kept" | awk '{ printf "%.1f", 100 - $1 }')" 10
	figure "    the flood's frames in a second (of 10^9 instructions)" "$(sed -n 's/^16 //p' "$work/$2.rates")"
}
quiet alone 'echo quiet'
echo "16 guests of 16 MiB, 15 of which ask each other for 200 echoes a second"
figure "  frames in a second, of the least of them, alone" "$(head -n 15 "$work/alone.rates" | sort -n -k 2 | sed -n '1s/.* //p')"
flooded "one floods the service domain, 60 bytes" own 60 $own
flooded "one floods a neighbour, 60 bytes" one 60 0x00163e000000
flooded "one floods a neighbour, 1514 bytes" big 1514 0x00163e000000
flooded "one floods everybody, 60 bytes" all 60 0xffffffffffff

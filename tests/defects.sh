#!/bin/sh
# defects.sh [WORD] (a part of `make soak`, some minutes): the defects that others have published of block and network backends and
# frontends are put back into ours, one by one, in a copy of the tree; each has to be found by a host test (docs/block.md, docs/net.md).
# Why: a test that never failed may look at nothing. A change that does not change its file, or a test that fails without it, is an
# error here too. Expected: every test passes as the tree is, and fails with its defect. WORD: only defects whose words contain it.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree"
tar cf - --exclude=./.git --exclude=./build --exclude="./${BUILD:-build}" . | tar xf - -C "$work/tree"
cd "$work/tree"
n=0

passes() { # passes TEST: it builds, and finds nothing wrong
	make -s BUILD="$work/build" "$work/build/tests/$1" >"$work/log" 2>&1 || { tail -n 20 "$work/log"; echo "$1 does not build"; exit 1; }
	timeout 200 "$work/build/tests/$1" >"$work/log" 2>&1 # one that hangs has found it, too
}

only=${1:-}
defect() { # defect WORDS TEST FILE SED
	case $1 in *"$only"*) ;; *) return 0 ;; esac
	passes "$2" || { tail -n 20 "$work/log"; echo "$2 fails as it is"; exit 1; }
	cp "$3" "$work/good"
	sed -i "$4" "$3"
	! cmp -s "$3" "$work/good" || { echo "not to be put back into $3 as it is now: $1"; exit 1; }
	! passes "$2" || { echo "not found by $2: $1"; exit 1; }
	echo "found by $2: $1: $(grep -oE 'FAILED *\] [a-z_]+|mock \(domain.*|ERROR: AddressSanitizer: [a-z-]+|runtime error: [a-z ]+' "$work/log" | head -n 1 | sed 's/.*\] //')"
	cp "$work/good" "$3"
	n=$((n + 1))
}

# A request, or an answer, is fetched again after it was checked.
defect 'the back reads a request twice' blk_hostile_front_test drivers-back/blkback_straight.h \
	's/back_read_any(q, req, head, tail);/back_read_any(q, req, peer_fetch32((const volatile uint32_t *)slot), tail);/'
defect 'the back reads a list of segments where the guest has it' blk_back_nodes_test drivers-back/blkback_request.c \
	's/^\treq->n_sectors = in_our_units(disk, count);/\tpeer_copy_in(\&count, tail, sizeof(count));\n&/'
defect 'the front reads an answer twice' blk_bad_back_test drivers-front/blkfront_ring.c \
	's/^\tslot = &queue->slots\[id\];/\tslot = \&queue->slots[peer_fetch64(at)];/'
# Memory of the kernel goes to the other side.
defect 'what lies on the stack is in an answer' blk_back_test drivers-back/blkback_ring.c \
	's/uint64_t op_and_status = req->op |/uint64_t op_and_status = 0xa5a5ull << 32 | req->op |/'
defect 'what lies on the stack is in a request' blk_bad_back_test drivers-front/blkfront_ring.c \
	's/__builtin_memset(&out, 0, sizeof(out));/__builtin_memset(\&out, 0xa5, sizeof(out));/'
defect 'what lies on the stack is between a segment and the next' blk_hostile_back_test drivers-front/blkfront_straight.h \
	's/peer_store32(&to\[1\], /&0xa5a50000u | /'
defect 'a backend that is not trusted is lent a page of the user' blk_bad_back_test drivers-front/blkfront_data.c \
	's/^\tif (disk->untrusted)$/\tif (0)/'
# Persistent grants without a bound.
defect 'a pool is as large as its guest likes' blk_hostile_front_test drivers-back/blkback_pool.c \
	's/pool->n_kept = MIN(MIN(per_queue \* disk->n_queues, total), BACK_POOL_TOP);/pool->n_kept = BACK_POOL_TOP;/'
defect 'all pools together have no bound' blk_back_bound_test drivers-back/blkback_pool.c \
	's/return MIN(disk->pool.n_kept, total .*/return disk->pool.n_kept;/'
defect 'pages that nobody uses stay' blk_back_bound_test drivers-back/blkback_pool.c 's/^#define OLD_AGE 3u/#define OLD_AGE 200u/'
# Event storms.
defect 'a storm of events is listened to' host_event_test kernel/host_event.c 's/^\tevent_mask(port);//'
defect 'events without a cause are not told' blk_hostile_front_test drivers-back/blkback_ring.c 's/host_event_spurious(q->port);/(void)q->port;/'
# Pages are used after they were unmapped at the end of a connection.
defect 'a connection is taken down under its requests' blk_life_test drivers-back/blkback.c 's/^\tif (back_in_flight(disk))$/\tif (0)/'
defect 'an answer comes before its pages are unmapped' blk_hostile_back_test drivers-front/blkfront_ring.c \
	's/if (slot->n_held && !front_data_release(disk, slot, status == 0)) {/if (0) {/'
# The network pair: slots fetched twice, and more of them than there is room for.
defect 'net: the back fetches a slot twice' net_back_hostile_test drivers-back/netback_take.c \
	's/^\tout->words.low = peer_fetch64(slot);/&\n&/'
defect 'net: the front fetches an answer twice' net_hostile_back_test drivers-front/netfront_rx.c \
	's/^\t\tpeer_copy_in(&rsp, ring_slot(.*/&\n&/'
defect 'net: the back takes as many slots as come' net_back_hostile_test drivers-back/netback_take.c \
	's/if (frame->n_ids == NETIF_SLOTS_MAX) {/if (frame->n_ids == 250) {/'
defect 'net: the front takes as many slots as come' net_hostile_back_test drivers-front/netfront_rx.c \
	's/ || p->n_data == NETIF_SLOTS_MAX)/)/'
defect 'net: a chain of extra infos has no bound' net_back_rings_test drivers-back/netback_take.c \
	's/t->frame->n_extras == VIF_EXTRAS_MAX || //'
# What a packet says of itself is believed.
defect 'net: the back believes the first length' net_back_hostile_test drivers-back/netback_take.c \
	's/if (first->offset + first->len_bytes > PAGE_SIZE)/if (0)/'
defect 'net: the front believes a length' net_hostile_back_test drivers-front/netfront_rx.c \
	's/rsp->offset + (uint32_t)rsp->status > PAGE_SIZE/false/'
defect 'net: a large frame of any protocol is cut' net_back_hostile_test drivers-back/netback_checks.c 's/why = check_gso(net, &h);/(void)check_gso(net, \&h);/'
defect 'net: a header may be cut' net_back_hostile_test drivers-back/netback_checks.c \
	's/if (net_parse(head->va, head->len_bytes, net->len_bytes, &h))/&\n\t\treturn NULL;\n\tif (0)/'
# What waits, and what is kept, has no bound.
defect 'net: frames wait for a guest that takes none' net_back_test drivers-back/netback_rx.c 's/^\t\tq->stalled = true;/\t\tq->stalled = false;/'
defect 'net: a list of groups has no bound' net_back_guard_test drivers-back/netback_multicast.c 's/if (vif->n_multicast == NETIF_MULTICAST_MAX)/if (0)/'
defect 'net: a table of hashes names any queue' net_back_ctrl_test drivers-back/netback_ctrl.c 's/if (map\[i\] >= vif->n_queues)/if (0)/'
defect 'net: events without a cause are not told' net_back_rings_test drivers-back/netback_tx.c 's/host_event_spurious(q->tx_port);/(void)q->tx_port;/'
# Pages are used while the other side has them, or after they were unmapped.
defect 'net: a page comes in that the back has mapped' net_hostile_back_test drivers-front/netfront_rx_frame.c \
	's/if (!page->staged \&\& !nf_page_take(page)) {/if (!page->staged \&\& !nf_page_take(page) \&\& !page->va) {/'
defect 'net: a page is its user'"'"'s while the back has it mapped' net_hostile_back_test drivers-front/netfront_tx.c \
	's/^\t\tif (q->dev->connected)$/\t\tif (0)/'
defect 'net: a connection is taken down under its frames' net_back_life_test drivers-back/netback.c 's/^\tif (vif_frames_out(vif))$/\tif (0)/'
defect 'net: a backend that is not trusted is read in place' net_front_control_test drivers-front/netfront_staging.c \
	's/ || (l->q->dev->untrusted && !page->readonly))/)/'
echo "$n defects put back, each found"

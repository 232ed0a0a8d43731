#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Counts of instructions are gated: the rules on planted figures, and the real
# ones of a short run.
# budget: 900 s

load helper

setup() {
	have jq || skip "no jq; \`make deps\` installs it"
	cd "$BATS_TEST_TMPDIR" || return
	base=base.json
	echo '{"baselines": []}' >"$base"
	figures 6.1.0-1-amd64 7000 9000 >a.json
	counts accept --reason 'the first' a.json
}

counts() {
	"$top/tools/counts" "$1" --baseline "$base" "${@:2}"
}

# figures RELEASE FASTOS POSIX [TRAPS]
figures() {
	printf '{"kernel": "%s", "package": "1", "compiler": "12", "qemu":
		"7.2 (x)", "cpus": 1, "fastos": {"fastos-block 8": [%d, %d, 200, 0]},
		"posix": {"eventfd+shm 8": [%d, 400, 200, 0],
		"pipe 8": [11000, 400, 200, 0]}}\n' "$1" "$2" "${4:-200}" "$3"
}

# checked STATUS RELEASE FASTOS POSIX [TRAPS]
checked() {
	figures "${@:2}" >b.json
	run -"$1" counts check b.json
	echo "$output"
}

@test "figures within 1.5 % are green" {
	checked 0 6.1.0-1-amd64 7104 8900
	[[ $output == *'all within 1.5 %'* ]]
}

@test "a figure that rose by 1.6 % is red" {
	checked 1 6.1.0-1-amd64 7112 9000
	[[ $output == *'RED fastos-block 8: instructions 7000 -> 7112, +1.6 %'* ]]
}

@test "a figure that fell by 1.6 % is red: the baseline is to follow" {
	checked 1 6.1.0-1-amd64 6888 9000
	[[ $output == *'RED fastos-block 8: instructions 7000 -> 6888, -1.6 %'* ]]
}

@test "without the module, under lazy preemption, 10 % decide" {
	local k n

	for k in 6.1.0-1 7.3.1; do
		for n in 7000 7690 7710; do
			figures "$k" 7000 9000 | jq --argjson n "$n" \
				'.fastos += {"fastos-posix-block 8": [$n, 400, 200, 0]}' >"$k-$n.json"
		done
		counts accept --reason 'another' "$k-7000.json"
	done
	run -1 counts check 6.1.0-1-7690.json
	[[ $output == *'RED fastos-posix-block 8: instructions 7000 -> 7690, +9.9 %'* ]]
	run -0 counts check 7.3.1-7690.json
	run -1 counts check 7.3.1-7710.json
}

@test "another trap is red" {
	checked 1 6.1.0-1-amd64 7000 9000 300
	[[ $output == *'traps 200 -> 300, +50.0 %'* ]]
}

@test "an engine that is not in the baseline is red" {
	sed -i 's/"pipe 8"/"pipe 64"/' a.json
	run -1 counts check a.json
	[[ $output == *'RED pipe 64: not in the baseline'* ]]
}

@test "a kernel without a baseline is compared with the nearest and green" {
	checked 0 6.1.0-2-amd64 7700 9900
	[[ $output == *'nearest: 6.1.0-1-amd64'* ]]
	[[ $output == *'moved fastos-block 8: instructions 7000 -> 7700, +10.0 %'* ]]
}

@test "without a baseline the ratio to POSIX is gated all the same" {
	checked 1 6.1.0-2-amd64 7700 9000
	[[ $output == *'RED fastos-block 8: best POSIX is 1.17x of it, was 1.29x'* ]]
}

@test "in place, a body of another size that costs another 5 % is red" {
	local with='.fastos += {"bulk fastos-block 65536": [8000, 200, 200, 0],
		"bulk fastos-block 1048576": [$n, 200, 200, 0]}'

	for n in 8400 8401; do
		figures 9.9.9 7000 9000 | jq --argjson n "$n" "$with" >b$n.json
	done
	run -0 counts check b8400.json
	run -1 counts check b8401.json
	[[ $output == *'RED bulk fastos-block: 8000 to 8401 instructions, by size'* ]]
}

@test "figures of tlb are instructions of a page" {
	echo '{"command": "tlb", "hog": false, "machine": {}, "cells": [{
		"pages": 64, "engines": [{ "name": "mprotect", "status": "ok",
		"class": "posix", "per_page": 3000.4, "traps": { "down": 64 },
		"ipis": { "RES": 0, "CAL": 0.01, "TLB": 0 } }] }] }' |
		jq -s -e -f "$top/tools/counts-figures.jq" --argjson cpus 1 \
		--arg compiler '' --arg qemu '' |
		jq -e '.posix == { "tlb mprotect 64": [3000, 6400, 0, 1] }'
}

@test "a call dearer than the best POSIX engine is red without any baseline" {
	echo '{"baselines": []}' >"$base"
	checked 1 9.9.9 7000 6900
	[[ $output == *'RED fastos-block 8: dearer than the best POSIX'* ]]
	checked 0 9.9.9 7000 7100
}

@test "figures become the baseline for a reason, and another one each time" {
	figures 6.1.0-1-amd64 8000 9000 >b.json
	run -125 counts accept b.json
	run ! counts accept --reason 'the first' b.json
	run -1 counts check b.json
	cp "$base" old.json
	counts accept --reason 'a trap more for safety' b.json
	counts check b.json
	counts reasons old.json "$base"
	sed -i 's/a trap more for safety/the first/' "$base"
	run -1 counts reasons old.json "$base"
	[[ $output == *'the reason did not'* ]]
}

# What is here against the last commit, and that against the one before it.
@test "the baseline of this tree changed for a reason" {
	local new=$top/bench/baseline.json rev

	[[ -e $top/.git ]] || skip "no git checkout"
	for rev in $(git -C "$top" log -n 3 --format=%H -- bench/baseline.json); do
		git -C "$top" show "$rev:bench/baseline.json" >"$rev"
		counts reasons "$rev" "$new"
		new=$rev
	done
}

@test "6.1, one CPU: a short run is within the baseline" {
	base=$top/bench/baseline.json
	need_module
	"$top/tools/counts" measure --short --tlb short.json
	run counts check short.json
	echo "$output"
	[[ $status -eq 0 ]]
}

# guest_limits: "pipe N", "fault N", ... of the files in out/$1
guest_limits() {
	jq -r '.limits[] | select(.name | IN("fault", "pte", "unmap", "switch")) |
		"\(.name) \(.median)"' "out/$1-limits.json"
	jq -r '"pipe \(.cells[0].engines[0].cpu_total)"' "out/$1-pipe.json"
}

@test "a module that idles costs pipes, faults and munmap nothing" {
	local measure='export FOS_BACKEND=posix; fosbench limits --icount --json /out/$0-limits.json &&
		fosbench ipc --icount --cpus 0,0 --sizes 64 --engines pipe \
			--rounds 9 --json /out/$0-pipe.json'

	need_module
	# A first time warms the slabs; and booting goes on for some seconds.
	# One backend, or the two processes had not as many mappings.
	"$top/selftests/vm/vm" run --kernel 6.1 --icount --no-module \
		--programs fosbench \
		--add "$ko:/fastos.ko" \
		--out out -- sh -c "sleep 5; sh -c '$measure' warm &&
		sh -c '$measure' without &&
		insmod /fastos.ko && sh -c '$measure' with && rmmod fastos" >/dev/null
	join <(guest_limits without | sort) <(guest_limits with | sort) | tee both
	[[ $(wc -l <both) -eq 5 ]]
	awk '{ d = $3 / $2 - 1; if (d < -0.01 || d > 0.01) bad = 1 }
		END { exit bad }' both
}

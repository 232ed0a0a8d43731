#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# fosbench as people call it: what it refuses, that its figures are complete and
# that an engine which delivers wrong bytes is found out. No figure is judged.

load helper

setup() {
	have jq || skip "no jq; \`make deps\` installs it"
	bench=$build/bin/fosbench
	cd "$BATS_TEST_TMPDIR" || return
}

# tiny COMMAND OPTION...: as short as it can be; the figures in out.json
tiny() {
	timeout 120 "$bench" "$1" --rounds 1 --iters 20 --json out.json "${@:2}"
}

# of_json FILTER: true of all that was measured
of_json() {
	jq -e "$1" out.json >/dev/null || { jq . out.json; return 1; }
}

# one_cpu: the first that we may use
one_cpu() {
	taskset -cp $$ | sed 's/.*: \([0-9]*\).*/\1/'
}

@test "each command has help" {
	local c

	for c in ipc bulk tlb io bells limits wait live; do
		run -0 "$bench" "$c" --help
		[[ ${lines[0]} == "Usage: fosbench $c [OPTION...]" ]]
	done
	run -0 "$bench" --help
	[[ $output == *'  bulk '* ]]
}

@test "--list tells the engines of a command" {
	run -0 "$bench" ipc --list
	[[ $output == *posix-mq* && $output != *vmsplice* ]]
	run -0 "$bench" bulk --list
	[[ $output == *vmsplice* && $output != *posix-mq* ]]
	run -0 "$bench" tlb --list
	[[ $output == *uffd-wp* && $output != *vmsplice* ]]
}

@test "wrong options are named" {
	run -64 "$bench" bulk --shape=star
	[[ $output == *'--shape: star is neither echo nor oneway'* ]]
	run -64 "$bench" bulk --touch=most
	[[ $output == *'--touch: most is neither all nor header'* ]]
	run -64 "$bench" bulk --produce=never
	[[ $output == *'--produce: never is neither once nor each'* ]]
	run -64 "$bench" bulk --sizes=8
	[[ $output == *'--sizes: 8 is not a number from 64 to 33554432'* ]]
	run -64 "$bench" ipc --sizes=2M
	[[ $output == *'--sizes: 2M is not a number from 8 to 1048576'* ]]
	run -64 "$bench" bulk --engines=posix-mq
	[[ $output == *'no engine posix-mq; see --list'* ]]
	run -64 "$bench" ipc --touch=all
	[[ $output == *"unrecognized option '--touch=all'"* ]]
	run -64 "$bench" tlb --pages=0
	[[ $output == *'--pages: 0 is not a number from 1 to 4096'* ]]
	run -64 "$bench" tlb --cpus=0,1
	[[ $output == *"unrecognized option '--cpus=0,1'"* ]]
	run -64 taskset -c "$(one_cpu)" "$bench" tlb --siblings=1
	[[ $output == *'--siblings: 1 and the caller need 2 CPUs, and 1 is ours'* ]]
}

@test "ipc: every engine runs or says why not" {
	tiny ipc --sizes 8,100 --cpus 0,0
	of_json '.command == "ipc" and (.cells | length) == 2'
	of_json '[.cells[].engines[] | .status == "ok" or .status == "skipped" and
		(.reason | length) > 0] | all'
	of_json '[.cells[].engines[] | select(.name == "pipe").median > 0] | all'
}

@test "bulk: every engine delivers bodies, or says why not" {
	local shape produce

	for shape in oneway echo; do
		for produce in once each; do
			tiny bulk --sizes 4K,65544 --cpus 0,0 --shape=$shape \
				--produce=$produce
			of_json ".command == \"bulk\" and .shape == \"$shape\" and
				.produce == \"$produce\""
			of_json '[.cells[].engines[] | .status == "ok" and
				.gb_per_s > 0 or .status == "skipped" and
				(.reason | length) > 0] | all'
		done
	done
	of_json '[.cells[].engines[] | select(.name == "fastos-posix-block") |
		.status == "ok" and .copies == 0] | all'
}

@test "bulk: who reads the header only is told so" {
	run -0 tiny bulk --sizes 64K --cpus 0,0 --touch=header --engines pipe
	[[ $output == *'65536 bytes handed over, header only'* ]]
	of_json '.touch == "header" and .cells[0].engines[0].gb_per_s == null'
}

@test "bulk: the break-even is the size from which on in place is ahead" {
	run -0 tiny bulk --sizes 4M,64K --cpus 0,0 \
		--engines fastos-posix-block,pipe
	of_json '.break_even[0] | .cpus == [0, 0] and .polling == null and
		.fastos_copy == null and (.sleeping | IN(65536, 4194304, null))'
	[[ $output == *'in place is ahead of everything that copies and sleeps'* ]]
}

@test "tlb: every engine makes pages read-only, or says why not" {
	tiny tlb --pages 1,8 --siblings 0
	of_json '.command == "tlb" and (.cells | map([.pages, .siblings])) ==
		[[1, 0], [8, 0]]'
	of_json '[.cells[] | .pages as $n | .engines[] | .status == "ok" and
		.median > 0 and (.per_page * $n - .median | fabs) < 1 and
		.cpu.again > 0 or .status == "skipped" and
		(.reason | length) > 0] | all'
	of_json '[.cells[].engines[] | select(.name | IN("fastos-posix",
		"mprotect", "mprotect-private", "null")).status == "ok"] | all'
	of_json '[.cells[].engines[] | select(.name == "mprotect").vs_mprotect ==
		1] | all'
	of_json '[.cells[].engines[] | select(.name == "null").faults] |
		unique == [{ down: 0, again: 0 }]'
}

@test "tlb: beside a busy thread no interrupt is told that was none" {
	[[ $(nproc) -gt 1 ]] || skip "one CPU"
	run -0 tiny tlb --pages 16 --siblings 1 --counts --engines mprotect,null
	[[ $output == *'16 pages, 1 sibling'* ]]
	# Other processes have theirs, so how many is for guests to say.
	of_json '[.cells[0].engines[].ipis | .TLB >= 0 and .CAL >= 0] | all'
	[[ $output == *'interrupts to each for 16 pages: mprotect '* ||
		$output == *'flushes TLBs without interrupts'* ]]
}

@test "tlb: peers are measured up to 512 pages" {
	run -0 tiny tlb --pages 513 --siblings 0 --engines mprotect,null
	[[ $output == *'skipped: takes too long with as many pages: mprotect'* ]]
	of_json '[.cells[0].engines[].status] == ["skipped", "ok"]'
}

@test "tlb: an engine that downgrades nothing is found out" {
	with_fault tlb_peers.c 's/return protect(c, PROT_READ);/return 0;/'
	run -1 tiny tlb --pages 8 --siblings 0 --engines mprotect,null
	[[ $output == *'FAILED: client: no downgrade: 8 of 8 pages took a store'* ]]
	of_json '[.cells[0].engines[].status] == ["failed", "ok"]'
}

@test "tlb: an engine that downgrades all but one page is found out" {
	with_fault tlb_peers.c 's/for (size_t i = 0; i < c->size; i++) {/for (size_t i = 1; i < c->size; i++) {/'
	run -1 tiny tlb --pages 8 --siblings 0 --engines mprotect
	[[ $output == *'no downgrade: 1 of 8 pages took a store'* ]]
}

@test "tlb: an engine that downgrades more than was asked is found out" {
	with_fault tlb_peers.c 's/mprotect(tlb_page(c, i), PAGE, prot)/mprotect(tlb_page(c, i), 2 * PAGE, prot)/'
	run -1 tiny tlb --pages 8 --siblings 0 --engines mprotect
	[[ $output == *'downgraded too much: 8 of 8 pages'* ]]
}

@test "what needs the module is skipped, and fails where it is required" {
	[[ ! -e /dev/fastos ]] || skip "the module is here"
	tiny bulk --sizes 4K --cpus 0,0 --engines fastos-block
	of_json '.cells[0].engines[0] | .status == "skipped" and
		.reason == "no module (ENOENT)"'
	run -1 tiny bulk --sizes 4K --cpus 0,0 --engines fastos-block \
		--require-fastos
	tiny tlb --pages 8 --siblings 0 --engines fastos
	of_json '.cells[0].engines[0].reason == "no module (ENOENT)"'
	run -1 tiny tlb --pages 8 --siblings 0 --engines fastos --require-fastos
}

# with_fault FILE SED-SCRIPT: fosbench with a line of an engine spoilt, in $bench
with_fault() {
	local f objects=()

	cp "$top/bench/$1" .
	sed -i "$2" "$1"
	! cmp -s "$1" "$top/bench/$1"
	gcc -std=gnu11 -O2 -D_GNU_SOURCE -pthread -I"$top/bench" \
		-I"$top/include" -c -o fault.o "$1"
	for f in "$top"/bench/*.c; do
		f=$(basename "$f" .c)
		[[ $f == "${1%.c}" ]] || objects+=("$build/bench/$f.o")
	done
	gcc -static -pthread -o spoilt fault.o "${objects[@]}" \
		"$build/bench/lib_spin.o" \
		"$build/lib/libfastos.a" -lgsl -lgslcblas -lm -ljansson -luring
	bench=./spoilt
}

@test "a byte that is wrong in the end is found out" {
	with_fault ipc_shm.c \
		's/memcpy(c->area\[from\], c->tx, c->out_len);/&((char *)c->area[from])[c->out_len - 1]++;/'
	run -1 tiny bulk --sizes 64K --cpus 0,0 --touch=header \
		--engines futex+shm,pipe
	[[ $output == *'FAILED: '*'wrong bytes'*': futex+shm'* ]]
	of_json '.cells[0].engines | map(.status) | sort == ["failed", "ok"]'
	run -1 tiny ipc --sizes 1K --cpus 0,0 --engines eventfd+shm
	[[ $output == *'wrong bytes'* ]]
}

@test "bodies that are not all there are found out" {
	with_fault bulk_single.c 's/dst = { c->rx, c->in_len }/dst = { c->rx, c->in_len - 8 }/
		s/(ssize_t)c->in_len)/(ssize_t)c->in_len - 8)/'
	run -1 tiny bulk --sizes 64K --cpus 0,0 --engines process_vm_readv
	[[ $output == *'wrong bytes'*': process_vm_readv'* ]]
}

@test "live runs the default beside ways that never change" {
	run -0 "$bench" live --time 3 --rounds 1 --service 0 --service 1,2 --json out.json
	[[ $output == *'beside a process that never sleeps'* ]]
	of_json '.cases | map(.service_us) | unique == ["0", "1,2"]'
	of_json '[.cases[] | .ways | map(select(.engine | startswith("fastos-posix"))) |
		length == 4 and all(.mean > 0 and .cpu > 0)] | all'
	of_json '.cases | map(.hog) | unique == [false, true]'
	of_json '[.cases[].cost_of_the_default.posix | .is > 0 and .low == null] | all'
	run -0 "$bench" live --time 3 --rounds 3 --service 0 --quiet --json out.json
	of_json '[.cases[].cost_of_the_default.posix | .low < .is and .is < .high] | all'
	[[ $output != *'never sleeps'* ]]
	run -64 "$bench" live --service x
	[[ $output == *'--service: x is not'* ]]
	run -1 "$bench" live --json /no/such/file
	[[ $output == *'/no/such/file: No such file'* ]]
}

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

@test "each command has help" {
	local c

	for c in ipc bulk limits; do
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

@test "what needs the module is skipped, and fails where it is required" {
	[[ ! -e /dev/fastos ]] || skip "the module is here"
	tiny bulk --sizes 4K --cpus 0,0 --engines fastos-block
	of_json '.cells[0].engines[0] | .status == "skipped" and
		.reason == "no module (ENOENT)"'
	run -1 tiny bulk --sizes 4K --cpus 0,0 --engines fastos-block \
		--require-fastos
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

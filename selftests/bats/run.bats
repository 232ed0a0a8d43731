#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# selftests/run believes nothing: each way of looking green must be red.

load helper

setup() {
	export FOS_VM=$BATS_TEST_TMPDIR/vm FASTOS_BUILD=$BATS_TEST_TMPDIR/build
	cat >"$FOS_VM" <<-'END'
		#!/bin/bash
		echo "$*" >>"$0.args"
		cat "$0.out"
		exec "$0.end"
	END
	printf '#!/bin/bash\nexit 0\n' >"$FOS_VM.end"
	chmod +x "$FOS_VM" "$FOS_VM.end"
}

# A guest that prints our stdin and ends with the status given.
guest() {
	cat >"$FOS_VM.out"
	printf '#!/bin/bash\nexit %s\n' "${1:-0}" >"$FOS_VM.end"
}

run_core() {
	run -"$1" selftests/run --guest core
	echo "$output"
	[[ ${lines[-1]} == "$2" ]]
}

@test "a complete plan is green, skips are listed with their reasons" {
	guest <<-'END'
		TAP version 13
		1..3
		ok 1 core.query
		ok 2 core.other # SKIP no second CPU
		ok 3 core.late # XFAIL known
		# Totals: pass:1 fail:0 xfail:1 xpass:0 skip:1 error:0
	END
	run_core 0 '2 passed, 0 failed, 1 skipped'
	[[ $output == *'6.1 core: core.other: no second CPU'* ]]
	cmp <(tail -n 1 <<<"$output") <(tail -n 1 "$FASTOS_BUILD/check/summary")
}

@test "a failed test is red" {
	guest 1 <<-'END'
		1..2
		ok 1 core.a
		not ok 2 core.b
		# Totals: pass:1 fail:1 xfail:0 xpass:0 skip:0 error:0
	END
	run_core 1 '1 passed, 1 failed, 0 skipped'
	[[ $output == *'6.1 core: core.b'* ]]
}

@test "what a failed test said is told at the end, behind the skips" {
	guest 1 <<-'END'
		1..3
		#  RUN           core.a ...
		ok 1 core.a # SKIP no second CPU
		#  RUN           core.b ...
		# core.c:7:b:Expected 1 (1) == x (2)
		# b: Test failed
		#          FAIL  core.b
		not ok 2 core.b
		#  RUN           core.c ...
		# c says nothing of interest
		ok 3 core.c
		# Totals: pass:1 fail:1 xfail:0 xpass:0 skip:1 error:0
	END
	run_core 1 '1 passed, 1 failed, 1 skipped'
	output=${output##*skipped:$'\n'}
	[[ $output == *'core.a: no second CPU'*'Expected 1 (1) == x (2)'*'failed:'*'6.1 core: core.b'* ]]
	[[ $output != *'of interest'* ]]
}

@test "a failed test is red whatever the status says" {
	guest 0 <<-'END'
		1..1
		not ok 1 core.b
		# Totals: pass:0 fail:1 xfail:0 xpass:0 skip:0 error:0
	END
	run_core 1 '0 passed, 1 failed, 0 skipped'
}

@test "no output at all is red" {
	guest </dev/null
	run_core 1 '0 passed, 1 failed, 0 skipped'
	[[ $output == *'no plan'* && $output == *'no totals'* ]]
}

@test "a plan without tests is red" {
	guest <<-'END'
		1..0
		# Totals: pass:0 fail:0 xfail:0 xpass:0 skip:0 error:0
	END
	run_core 1 '0 passed, 1 failed, 0 skipped'
}

@test "a test that never reported is red" {
	guest <<-'END'
		1..3
		ok 1 core.a
		ok 3 core.c
		# Totals: pass:2 fail:0 xfail:0 xpass:0 skip:0 error:0
	END
	run_core 1 '2 passed, 1 failed, 0 skipped'
	[[ $output == *'gave no result: 2'* ]]
}

@test "totals that differ from the results are red" {
	guest <<-'END'
		1..1
		ok 1 core.a
		# Totals: pass:2 fail:0 xfail:0 xpass:0 skip:0 error:0
	END
	run_core 1 '1 passed, 1 failed, 0 skipped'
}

@test "a suite where everything was skipped is red" {
	guest <<-'END'
		1..2
		ok 1 core.a # SKIP no module
		ok 2 core.b # SKIP no module
		# Totals: pass:0 fail:0 xfail:0 xpass:0 skip:2 error:0
	END
	run_core 1 '0 passed, 1 failed, 2 skipped'
	[[ $output == *'everything was skipped'* ]]
}

@test "trouble of the runner is red and says why" {
	guest 125 <<-'END'
		1..1
		ok 1 core.a
		# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:0 error:0
		vm: RED: the kernel complained after the command
	END
	run_core 1 '1 passed, 1 failed, 0 skipped'
	[[ $output == *'status 125, the kernel complained'* ]]
}

# What vm/each shows of a program; without a STATUS it has not ended.
each() {	# PROGRAM [STATUS]
	printf 'each: fos-%s\n1..1\nok 1 %s.a\n# Totals: %s\n' "$1" "$1" \
		'pass:1 fail:0 xfail:0 xpass:0 skip:0 error:0'
	[[ ! ${2:-} ]] || echo "each: $2 3 fos-$1"
}

@test "who shares a guest is judged by his own lines" {
	{
		each abi_map 0
		cat <<-'END'
			each: fos-abi_poll
			1..2
			ok 1 poll.a
			not ok 2 poll.b
			# Totals: pass:1 fail:1 xfail:0 xpass:0 skip:0 error:0
			each: 1 2 fos-abi_poll
		END
		each abi_wait 7
	} | guest
	run -1 selftests/run --guest abi_map abi_poll abi_wait
	echo "$output"
	[[ ${lines[-1]} == '3 passed, 2 failed, 0 skipped' ]]
	[[ $output == *'# 6.1 abi_map: 1 passed, 0 failed, 0 skipped (3 s)'* ]]
	[[ $output == *'6.1 abi_poll: poll.b'*'6.1 abi_wait: ended with status 7'* ]]
	[[ $(wc -l <"$FOS_VM.args") -eq 1 ]]
}

@test "where a shared guest dies, nothing after it is green" {
	{
		each abi_map 0
		each abi_poll
		echo 'vm: RED: the kernel panicked'
	} | guest 125
	run -1 selftests/run --guest abi_map abi_poll abi_wait
	echo "$output"
	[[ ${lines[-1]} == '2 passed, 2 failed, 0 skipped' ]]
	[[ $output == *'# 6.1 abi_map: 1 passed, 0 failed'* ]]
	[[ $output == *'6.1 abi_poll: ended with status 125, the kernel panicked'* ]]
	[[ $output == *'6.1 abi_wait: no plan'* ]]
}

@test "what a shared guest leaves behind is red" {
	{
		each abi_map 0
		each abi_poll 0
		echo 'vm: RED: 1 leak'
	} | guest 125
	run -1 selftests/run --guest abi_map abi_poll
	echo "$output"
	[[ ${lines[-1]} == '2 passed, 1 failed, 0 skipped' ]]
	[[ $output == *'6.1 abi_poll: ended with status 125, 1 leak'* ]]
}

@test "gates are run where they are wanted" {
	mkdir "$BATS_TEST_TMPDIR/bats"
	printf '# gate\n@test "a" { :; }\n' >"$BATS_TEST_TMPDIR/bats/x.bats"
	printf '@test "b" { :; }\n' >"$BATS_TEST_TMPDIR/bats/y.bats"
	export FOS_BATS_DIR=$BATS_TEST_TMPDIR/bats
	run -0 selftests/run --host
	[[ $output == *'host y: 1 passed'* && $output != *' x: '* ]]
	run -0 selftests/run --gates x
	[[ $output == *'gate x: 1 passed'* && $output != *' y: '* ]]
}

@test "the first kernel has all rounds, the others a fifth, said aloud" {
	guest <<-'END'
		1..1
		ok 1 core.a
		# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:0 error:0
	END
	run -0 selftests/run --guest --kernels '6.1 7.3' core
	[[ $output == *'# 7.3: FOS_SOAK=0.2 times'* && $output != *'# 6.1: FOS_SOAK'* ]]
	[[ ${lines[-1]} == '2 passed, 0 failed, 0 skipped' ]]
	grep -q 'kernel 6.1 .* FOS_SOAK=1 fos-core$' "$FOS_VM.args"
	grep -q 'kernel 7.3 .* FOS_SOAK=0.2 fos-core$' "$FOS_VM.args"
	FOS_SOAK=20 run -0 selftests/run --guest --kernels '6.1 7.3' core
	[[ $(grep -c 'FOS_SOAK=20 fos-core$' "$FOS_VM.args") -eq 2 ]]
}

@test "a debug kernel that was not built is a skip with its reason" {
	guest <<-'END'
		1..1
		ok 1 core.a
		# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:0 error:0
	END
	FASTOS_CACHE=$BATS_TEST_TMPDIR run -0 selftests/run --guest \
		--kernels '6.1 debug' core
	[[ $output == *'debug: no such kernel; `make debug-kernel`'* ]]
	[[ ${lines[-1]} == '1 passed, 0 failed, 1 skipped' ]]
}

@test "a bats file is judged alike" {
	mkdir "$BATS_TEST_TMPDIR/bats"
	printf '@test "a" { :; }\n@test "b" { skip "so"; }\n@test "c" { false; }\n' \
		>"$BATS_TEST_TMPDIR/bats/x.bats"
	FOS_BATS_DIR=$BATS_TEST_TMPDIR/bats run -1 selftests/run --host
	echo "$output"
	[[ ${lines[-1]} == '1 passed, 1 failed, 1 skipped' ]]
	[[ $output == *'host x: c'* && $output == *'host x: b: so'* ]]
}

@test "a suite has only so much time" {
	mkdir "$BATS_TEST_TMPDIR/bats"
	printf '# budget: 1 s\n@test "a" { sleep 30; }\n' \
		>"$BATS_TEST_TMPDIR/bats/x.bats"
	FOS_BATS_DIR=$BATS_TEST_TMPDIR/bats run -1 selftests/run --host
	echo "$output"
	[[ $output == *'its time was over'* && $SECONDS -lt 25 ]]
}

# Each of the two guests ends when it has seen the other.
@test "two suites run at a time, and their output is not mixed" {
	cat >"$FOS_VM" <<-'END'
		#!/bin/bash
		suite=${*: -1}
		echo "1..1"
		touch "$0.${suite}"
		for ((i = 0; i < 50; i++)); do
			[[ ! -e $0.fos-core || ! -e $0.fos-abi ]] || break
			sleep 0.1
		done
		[[ $i -lt 50 ]] || echo -n "not "
		echo "ok 1 $suite"
		echo "# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:0 error:0"
	END
	FOS_LANES=2 run -0 selftests/run --guest core abi
	echo "$output"
	[[ ${lines[-1]} == '2 passed, 0 failed, 0 skipped' ]]
	grep -A 2 '^# ---- 6.1 abi$' <<<"$output" | grep 'ok 1 fos-abi'
	rm "$FOS_VM".fos-*
	FOS_LANES=1 run -1 selftests/run --guest core abi
}

@test "a suite of that name must exist" {
	run -1 selftests/run nosuchsuite
	[[ ${lines[-1]} == '0 passed, 1 failed, 0 skipped' ]]
}

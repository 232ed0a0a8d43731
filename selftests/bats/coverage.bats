#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# tools/coverage counts: what a suite calls is covered, and what it does not is
# listed. The suite is one that never calls, so that no fos_call() is reached.

load helper

setup_file() {
	export FASTOS_BUILD=$BATS_FILE_TMPDIR
	report=$FASTOS_BUILD/coverage/report.txt
	cache=${FASTOS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fastos}
	export report
	have jq || skip "no jq; \`make deps\` installs it"
	# As on a machine without the debug kernel.
	export FASTOS_CACHE=$BATS_FILE_TMPDIR/cache
	mkdir "$FASTOS_CACHE"
	[[ ! -d $cache/kselftest ]] || ln -s "$cache/kselftest" "$FASTOS_CACHE"
	tools/coverage backend
}

# Its place is in the list, and right.
uncovered() {	# FUNCTION
	local file line

	IFS=: read -r file line < <(sed -n "s/^  \(.*:[0-9]*\) $1\$/\1/p" "$report")
	[[ $line ]] || return
	sed -n "$line"p "$file" | grep -w "$1"
}

@test "functions that ran are not listed" {
	cat "$report"
	grep -qw fos__posix_meet lib/posix_hello.c
	grep -qw fos_channel lib/*.c
	run ! uncovered fos__posix_meet
	run ! uncovered fos_channel
}

@test "functions that nothing called are, where they are" {
	uncovered fos_call
	uncovered fos_ring_reply
	uncovered kernel_bell_wait
}

@test "every source of the library has its figures" {
	local f

	for f in lib/*.c; do
		grep -qE "^$f +[0-9.]+ % of [0-9]+ +[0-9.]+ % of [0-9]+ +[0-9.]+ % of" \
			"$report" || { echo "no $f"; return 1; }
	done
	grep -qE '^lib +[1-9][0-9.]+ % ' "$report"
}

@test "the module is said not to be measured, and why" {
	grep -qxF 'kmod: not measured: no debug kernel; make debug-kernel' "$report"
	run ! grep '^kmod/' "$report"
}

@test "to measure nothing is an error" {
	run -125 tools/coverage abi
	[[ $output == *'nothing was measured'* && ! -e $report ]]
	run -125 tools/coverage no-such-suite
	[[ $output == *'no suite no-such-suite'* ]]
}

# gcov FILE LINE-COUNT FUNCTION-COUNT: what gcov says of one object
gcov() {
	printf '{"files": [{"file": "%s", "lines": [{"line_number": 3, "count": %d,
		"function_name": "f", "branches": [{"count": %d}, {"count": 0}]}],
		"functions": [{"name": "f", "start_line": 2,
		"execution_count": %d}]}]}\n' "$1" "$2" "$2" "$3"
}

@test "a header is the sum of the objects it is in" {
	run -0 jq -r -n -f tools/coverage.jq --arg prefix /b/6.12/ < <(
		gcov lib/x.h 0 0; gcov lib/x.h 7 1; gcov lib/y.c 0 0)
	echo "$output"
	grep -qE '^lib/x.h +100.0 % of 1 +50.0 % of 2 +100.0 % of 1$' <<<"$output"
	grep -qE '^lib +50.0 % of 2 +25.0 % of 4 +50.0 % of 2$' <<<"$output"
	[[ $output == *'nothing called: 1'$'\n''  lib/y.c:2 f' ]]
}

@test "the module's copy has the names of its sources; the kernel is left out" {
	run -0 jq -r -n -f tools/coverage.jq --arg prefix /b/6.12/ < <(
		gcov /b/6.12/kmod/x.c 1 1; gcov /b/6.12/kmod/trace.h 0 0
		gcov ./include/linux/list.h 0 0)
	echo "$output"
	grep -qE '^kmod/x.c +100.0 % of 1 ' <<<"$output"
	[[ $output == *'nothing called: 0' && $output != *trace.h* ]]
	[[ $output != *list.h* ]]
}

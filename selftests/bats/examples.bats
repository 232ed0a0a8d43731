#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# The pipeline of examples/: what it writes, and what becomes of it when one of its
# processes is killed.

load helper

pipeline=$build/bin/fos-pipeline

setup_file() {
	"$pipeline" --generate 20M "$BATS_FILE_TMPDIR/log"
	grep -F error "$BATS_FILE_TMPDIR/log" >"$BATS_FILE_TMPDIR/want"
}

# Its output is what grep finds, with each size of block.
finds() {
	local b

	for b in 4K 256K 3M; do
		run -0 "$pipeline" "$1" --block "$b" "$BATS_FILE_TMPDIR/log" \
			"$BATS_TEST_TMPDIR/out" 3>&-
		[[ $output == *'read '*20.0\ MiB* ]]
		cmp "$BATS_FILE_TMPDIR/want" "$BATS_TEST_TMPDIR/out"
	done
}

@test "the pipeline in place writes what grep finds, without the module" {
	FOS_BACKEND=posix finds --fastos
	[[ $output != *[1-9].[0-9]' MiB copied'* ]]
}

@test "through pipes it writes the same" {
	finds --pipes
	[[ $output == *'20.0 MiB copied'* ]]
}

@test "short files, empty ones and a last line without its end" {
	local text way

	for text in '' '\n' 'error' 'error\n' 'an error\nfine\nno error' 'none'; do
		# shellcheck disable=SC2059 # it is a format
		printf "$text" >"$BATS_TEST_TMPDIR/in"
		for way in --pipes --fastos; do
			FOS_BACKEND=posix run -0 "$pipeline" $way \
				"$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out" 3>&-
			grep -F error "$BATS_TEST_TMPDIR/in" | cat >"$BATS_TEST_TMPDIR/want"
			# grep ends the last line.
			cmp <(cat "$BATS_TEST_TMPDIR/out"; [[ $text != *error ]] ||
				echo) "$BATS_TEST_TMPDIR/want"
		done
	done
}

# The first, second or third process of a pipeline that does not end by itself.
kill_one() {	# OPTION NTH
	local pid child status=0

	mkfifo "$BATS_TEST_TMPDIR/$1-$2"
	yes 'this is an error' >"$BATS_TEST_TMPDIR/$1-$2" 3>&- &
	FOS_BACKEND=posix timeout 60 "$pipeline" "$1" "$BATS_TEST_TMPDIR/$1-$2" \
		/dev/null 2>"$BATS_TEST_TMPDIR/err" 3>&- &
	pid=$!
	until [[ $(pgrep -c -P "$(pgrep -P $pid | head -n 1)") == 3 ]]; do
		sleep 0.1
	done
	sleep 0.2
	child=$(pgrep -P "$(pgrep -P $pid)" | sed -n "$2p")
	kill -9 "$child"
	wait $pid || status=$?
	cat "$BATS_TEST_TMPDIR/err"
	[[ $status == 1 ]]
	grep -q 'has died' "$BATS_TEST_TMPDIR/err"
}

@test "when one of its processes is killed the others end with an error" {
	local nth

	for nth in 1 2 3; do
		kill_one --fastos $nth
		kill_one --pipes $nth
	done
}

@test "wrong arguments are told, and --help helps" {
	run "$pipeline"
	[[ $status -ne 0 && $output == Usage:* ]]
	run "$pipeline" --block 1 in out
	[[ $status -ne 0 && $output == *'4K to 16M'* ]]
	run -1 "$pipeline" /no/such/file "$BATS_TEST_TMPDIR/out"
	run -0 "$pipeline" --help
	[[ $output == *--pipes* && $output == *--generate=SIZE* ]]
}

@test "in a guest, by the module, it writes the same" {
	need_module
	run -0 --separate-stderr selftests/vm/vm run --kernel 6.1 -- sh -c '
		export FOS_BACKEND=kernel
		fos-pipeline --generate 4M /tmp/log &&
		fos-pipeline --fastos /tmp/log /tmp/a &&
		fos-pipeline --pipes /tmp/log /tmp/b &&
		grep -F error /tmp/log >/tmp/c && cmp /tmp/a /tmp/c &&
		cmp /tmp/b /tmp/c && echo same'
	echo "$output"
	[[ ${lines[-1]} == same ]]
}

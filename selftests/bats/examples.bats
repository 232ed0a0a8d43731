#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# The pipeline of examples/: what it writes, and what becomes of it when one of its
# processes is killed.  And kvsnap: that its snapshots are consistent, and that it
# would notice if they were not; purge: that purged pages are empty; and one server
# for many clients.

load helper

pipeline=$build/bin/fos-pipeline
kvsnap=$build/bin/fos-kvsnap
purge=$build/bin/fos-purge

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
	run -0 --separate-stderr selftests/vm/vm run --kernel 6.1 \
		--programs fos-pipeline -- sh -c '
		export FOS_BACKEND=kernel
		fos-pipeline --generate 4M /tmp/log &&
		fos-pipeline --fastos /tmp/log /tmp/a &&
		fos-pipeline --pipes /tmp/log /tmp/b &&
		grep -F error /tmp/log >/tmp/c && cmp /tmp/a /tmp/c &&
		cmp /tmp/b /tmp/c && echo same'
	echo "$output"
	[[ ${lines[-1]} == same ]]
}

# ---- kvsnap

# Small and short.
snap() {
	FOS_BACKEND=${FOS_BACKEND:-posix} timeout 100 "$kvsnap" --mib 4 --rounds 2 \
		--snapshots 3 --every 20 --file "$BATS_TEST_TMPDIR/snap" "$@" 3>&-
}

# figures JQ: of the last run
figures() {
	jq -r "$1" "$BATS_TEST_TMPDIR/json"
}

@test "every snapshot of kvsnap is the store at one point in time" {
	run -0 snap --json "$BATS_TEST_TMPDIR/json"
	echo "$output"
	[[ ${lines[-1]} =~ ^([0-9]+)\ of\ ([0-9]+)\ snapshots\ are ]]
	[[ ${BASH_REMATCH[1]} == "${BASH_REMATCH[2]}" ]]
	[[ ! -e $BATS_TEST_TMPDIR/snap ]]
	have jq || skip "no jq"
	# Each arm, 2 rounds of a first snapshot and 3 others.
	[[ $(figures '.arms[] | select(.name != "none" and .status == "ok").checked' |
		sort -u) == 8 ]]
	[[ $(figures '.arms[] | select(.name == "fastos").status') == ok ]]
}

@test "after the first snapshot kvsnap protects only what was written" {
	have jq || skip "no jq"
	run -0 snap --dirty 10 --json "$BATS_TEST_TMPDIR/json"
	# All of them, of 1024 pages.
	[[ $(figures '.arms[] | select(.name == "mprotect" or .name == "fastos") |
		.pages > 20 and .pages <= 102' | sort -u) == true ]]
}

@test "more writers than CPUs, or one, and a store that is all dirty" {
	run -0 snap --writers 7
	run -0 snap --writers 1 --dirty 100
}

@test "when kvsnap protects nothing each arm's snapshots are found to be wrong" {
	local arm

	for arm in fork mprotect fastos; do
		run -1 snap --break-it --arms $arm
		[[ $output == *"$arm: wrong: "* ]]
	done
}

@test "kvsnap tells what it cannot do" {
	run snap --dirty 101
	[[ $status -ne 0 && $output == *'from 1 to 100'* ]]
	run snap --arms nobody
	[[ $status -ne 0 && $output == *nobody* ]]
	run -1 snap --file /no/such/folder/snap
	[[ $output == *'failed: /no/such/folder/snap: No such file'* ]]
	run -0 "$kvsnap" --help
	[[ $output == *--break-it* && $output == *--mib=N* ]]
}

@test "in a guest, by the module, a pause of kvsnap has one round of interrupts" {
	need_module
	have jq || skip "no jq"
	run -0 --separate-stderr selftests/vm/vm run --kernel 6.1 --smp 2 \
		--programs fos-kvsnap -- sh -c '
		FOS_BACKEND=kernel fos-kvsnap --mib 8 --rounds 1 --snapshots 3 \
			--every 50 --arms mprotect,fastos --json /tmp/json >/dev/null 2>&1 &&
		cat /tmp/json'
	echo "$output"
	jq . <<<"$output" >"$BATS_TEST_TMPDIR/json"
	# Of 102 pages: one is for other causes of an interrupt.
	[[ $(figures '.arms[] | select(.name == "mprotect").tlb_interrupts > 50') == true ]]
	[[ $(figures '.arms[] | select(.name == "fastos").tlb_interrupts <= 2') == true ]]
}

# ---- purge

# Small and short.
purges() {
	FOS_BACKEND=posix timeout 60 "$purge" --mib 2 --batch 16 --rounds 1 --time 50 \
		"$@" 3>&-
}

@test "pages that purge has given back are zero, whoever allocates them" {
	run -0 purges
	[[ $output == *$'\n'madvise* && $output != *wrong* ]]
	run -0 purges --threads 5
	[[ $output != *wrong* ]]
}

@test "when purge gives nothing back it is found" {
	run -1 purges --break-it
	[[ $output == *'madvise: wrong: '* ]]
}

@test "purge tells what it cannot do" {
	run purges --batch 2000
	[[ $status -ne 0 && $output == *'from 1 to 1024'* ]]
	run purges --mib 1 --batch 128
	[[ $status -ne 0 && $output == *'need more than 1 MiB'* ]]
	run -0 "$purge" --help
	[[ $output == *--batch=PAGES* ]]
}

# Of a server on $1: the us of a call when so many clients are connected.
crowd() {	# PATH CLIENTS CALLS
	run -0 timeout 100 "$build/bin/fos-crowd-client" "$@"
	[[ $output == "$2 clients, $3 calls: "*' us a call' ]]
}

@test "one thread serves a crowd, without the module" {
	local path=$BATS_TEST_TMPDIR/crowd server

	FOS_BACKEND=posix "$build/bin/fos-crowd-server" "$path" 3>&- &
	server=$!
	until [[ -S $path ]]; do sleep 0.1; done
	crowd "$path" 200 2000
	# Those have gone, and it goes on.
	crowd "$path" 1 2000
	run -0 "$build/bin/fos-echo-client" "$path" hello
	[[ $output == 'hello -> HELLO' ]]
	kill $server
	run -1 "$build/bin/fos-crowd-server" --help
	[[ $output == usage:* ]]
}

# Under --icount time is instructions, the same ones in each run.
@test "a thousand silent clients cost the server nothing" {
	local few many

	need_module
	run -0 --separate-stderr selftests/vm/vm run --kernel 6.1 --icount \
		--programs 'fos-crowd-server fos-crowd-client' -- sh -c '
		fos-crowd-server /tmp/crowd &
		server=$!
		until [ -S /tmp/crowd ]; do sleep 0.1; done
		fos-crowd-client /tmp/crowd 8 2000 &&
		fos-crowd-client /tmp/crowd 1000 2000 && kill $server'
	echo "$output"
	few=$(sed -n 's/^8 clients.*: \(.*\) us.*/\1/p' <<<"$output")
	many=$(sed -n 's/^1000 clients.*: \(.*\) us.*/\1/p' <<<"$output")
	awk -v few="$few" -v many="$many" 'BEGIN { exit !(few > 0 && many < 1.2 * few) }'
}

# ---- poll-server

# A server in the background, whose path exists: its pid in $server.
start_poll_server() {
	path=$BATS_TEST_TMPDIR/poll.sock
	FOS_BACKEND=posix timeout 60 "$build/bin/fos-poll-server" "$path" \
		2>"$BATS_TEST_TMPDIR/err" 3>&- &
	server=$!
	until [[ -S $path ]]; do
		kill -0 $server
		sleep 0.1
	done
}

@test "the poll server answers clients of the echo server, also at once" {
	local path server i clients=()

	start_poll_server
	for i in 1 2 3; do
		timeout 20 "$build/bin/fos-echo-client" "$path" "client $i" bye \
			>"$BATS_TEST_TMPDIR/$i" 3>&- &
		clients+=($!)
	done
	for i in 1 2 3; do
		wait "${clients[i - 1]}"
		grep -qx "client $i -> CLIENT $i" "$BATS_TEST_TMPDIR/$i"
		grep -qx 'bye -> BYE' "$BATS_TEST_TMPDIR/$i"
	done
	kill -TERM $server
	wait $server
	grep -qx '3 clients, 6 requests' "$BATS_TEST_TMPDIR/err"
	[[ ! -e $path ]]
}

@test "the poll server tells how it is used, and what it cannot do" {
	run -0 "$build/bin/fos-poll-server" --help
	[[ $output == 'usage: poll-server PATH' ]]
	run -1 "$build/bin/fos-poll-server"
	[[ $output == usage:* ]]
	run -1 "$build/bin/fos-poll-server" /no/such/folder/path
	[[ $output == '/no/such/folder/path: No such file'* ]]
}

# ---- uring-server

# status PATH: what the socket says.
status_of() {
	python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
print(s.makefile().read(), end="")' "$1"
}

@test "an event loop of io_uring serves channels, sockets and a timer" {
	local path=$BATS_TEST_TMPDIR/uring.sock server who

	have python3 || skip "no python3"
	FOS_BACKEND=posix timeout 60 "$build/bin/fos-uring-server" "$path" 1 \
		2>"$BATS_TEST_TMPDIR/err" 3>&- &
	server=$!
	until [[ -S $path.status ]]; do
		kill -0 $server
		sleep 0.1
	done
	[[ $(status_of "$path.status") == '0 clients, 0 requests' ]]
	for who in 1 2 3; do
		run -0 timeout 20 "$build/bin/fos-echo-client" "$path" "client $who" bye
		grep -qx "client $who -> CLIENT $who" <<<"$output"
		grep -qx 'bye -> BYE' <<<"$output"
	done
	[[ $(status_of "$path.status") == '3 clients, 6 requests' ]]
	sleep 1.5
	grep -qx '3 clients, 6 requests' "$BATS_TEST_TMPDIR/err"
	kill -TERM $server
	wait $server
	[[ ! -e $path ]]
}

@test "so it does in a guest, by the module" {
	need_module
	run -0 --separate-stderr selftests/vm/vm run --kernel 6.1 \
		--programs 'fos-uring-server fos-echo-client' -- sh -c '
		export FOS_BACKEND=kernel
		fos-uring-server /tmp/uring 60 2>/tmp/err &
		server=$!
		until [ -S /tmp/uring.status ]; do sleep 0.1; done
		fos-echo-client /tmp/uring hello rendezvous && kill $server && wait $server
		tail -n 1 /tmp/err'
	echo "$output"
	[[ ${lines[0]} == 'hello -> HELLO' ]]
	[[ ${lines[1]} == 'rendezvous -> RENDEZVOUS' ]]
	[[ ${lines[2]} == '1 clients, 2 requests' ]]
}

@test "the event loop tells how it is used, and what it cannot do" {
	run -0 "$build/bin/fos-uring-server" --help
	[[ $output == 'usage: uring-server PATH [SECONDS]' ]]
	run -1 "$build/bin/fos-uring-server"
	[[ $output == usage:* ]]
	run -1 "$build/bin/fos-uring-server" /tmp/x never
	[[ $output == *'no number of seconds: never' ]]
	run -1 "$build/bin/fos-uring-server" /no/such/folder/path
	[[ $output == '/no/such/folder/path: No such file'* ]]
}

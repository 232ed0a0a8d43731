#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# All executions of lib/ring.c in small configurations; and that the model would
# see what is broken.
# gate
# budget: 900 s

load helper

model=$build/model/model

setup_file() {
	make -s "$build/model/model"
}

# all_ok ARG...: every result of the model says ok; the counts go to the log.
all_ok() {
	run -0 "$model" "$@"
	echo "$output"
	[[ $'\n'$output != *$'\nnot ok'* ]]
}

@test "nothing goes wrong in any execution of the small configurations" {
	all_ok
	[[ $output == *', complete' ]]
	tail -n 1 <<<"$output" >&3
}

@test "a lost wake-up is noticed" {
	all_ok --break 'sleep without' --max-states 500000
	[[ $output == *'threads sleep for ever'* ]]
}

@test "whatever else the library or the kernel leaves out is noticed" {
	local step

	for step in 'release a reply' 'die without' 'withdraw what' \
		'report death' 'late reply'; do
		all_ok --break "$step" --max-states 500000
	done
}

@test "a reply that passes for taken though its caller gave up is noticed" {
	all_ok --break 'take a request' --config two-servers-late
	[[ $output == *'passes for taken, but nobody read it'* ]]
}

@test "an access of lib/ring.c that is left out, or weaker by a step, is noticed" {
	all_ok --mutate all --max-states 500000
	grep -c ' noticed by ' <<<"$output" | sed 's/^/# changes noticed: /' >&3
}

@test "a failing execution is shown step by step" {
	run -0 "$model" --break fence --config one-way --show
	[[ $output == *'thread 0  store'*need_wakeup* ]]
}

@test "the model tells how it is used" {
	run -0 "$model" --help
	[[ $output == Usage:*--mutate* ]]
	run -2 "$model" --mutate 'no such site'
	run -2 "$model" --break 'no such step'
	run -2 "$model" --config nosuch
	run -0 "$model" --list
	[[ $output == *two-senders* ]]
}

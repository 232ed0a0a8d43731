#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# selftests/mutation_lib: the tests notice faults of the library.
# gate
# budget: 600 s

load helper

@test "each fault with buffers and descriptors of messages is noticed" {
	run selftests/mutation_lib
	echo "$output"
	[[ $status -eq 0 && $'\n'$output == *$'\nok 20 '* && $'\n'$output != *$'\nnot ok'* ]]
}

@test "a fault that nobody notices is told" {
	local tree=$BATS_TEST_TMPDIR/tree

	mkdir "$tree"
	cp -r include lib selftests "$tree"
	# A guard that always passes.
	sed -i 's/a release is accepted twice | lend.c | .*/a release is accepted twice | lend.c | lend nocopy_fails_rather_than_copy/' \
		"$tree/selftests/mutation_lib"
	run -1 env FASTOS_BUILD="$tree/build" "$tree/selftests/mutation_lib" twice
	echo "$output"
	[[ $output == *'passes'*'not ok 1 a release is accepted twice'* ]]
	run -1 selftests/mutation_lib 'no such fault'
}

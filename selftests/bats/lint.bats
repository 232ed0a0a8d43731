#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# tools/lint, a test for each of its checks.

load helper

lint() {
	run tools/lint "$1"
	[[ $status -ne 77 ]] || skip "${lines[0]#SKIP "$1": }"
	echo "$output"
	[[ $status -eq 0 ]]
}

@test "kernel code passes checkpatch --strict" { lint checkpatch; }
@test "user-space code passes checkpatch, as far as it applies" { lint user-c; }
@test "kernel-doc comments are complete" { lint kernel-doc; }
@test "shell scripts pass shellcheck" { lint shellcheck; }
@test "no word is misspelt" { lint codespell; }
@test "manual pages pass mandoc -Tlint" { lint mandoc; }
@test "gcc and clang find no path through the library that goes wrong" { lint analyzer; }

@test "every check of tools/lint is a test here" {
	run -0 tools/lint -l
	for c in "${lines[@]}"; do
		grep -q "{ lint $c; }" selftests/bats/lint.bats
	done
}

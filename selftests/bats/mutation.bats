#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# selftests/mutation: the tests notice when a safeguard is taken out.
# gate
# budget: 1200 s

load helper

setup_file() {
	selftests/mutation >"$BATS_FILE_TMPDIR/tap" || :
}

# noticed WORDS: the line of selftests/mutation that ends with them says ok.
noticed() {
	cat "$BATS_FILE_TMPDIR/tap"
	grep -q "^ok [0-9]* $1\$" "$BATS_FILE_TMPDIR/tap"
}

@test "the honest module passes the guards" {
	noticed 'the guards let the honest module through'
}

@test "each of kmod/break.h is asked for here" {
	local tried

	tried=$(sed -n 's/^[a-z ]*ok [0-9]* \([a-z]*\) \(was noticed\|survived\)$/\1/p' \
		"$BATS_FILE_TMPDIR/tap")
	[[ $tried ]]
	while read -r mutant; do
		grep "'$mutant was noticed'" "$BATS_TEST_FILENAME"
	done <<<"$tried"
}

@test "a bell that wakes nobody is noticed" { noticed 'nowake was noticed'; }
@test "a sleep without a fence is noticed" { noticed 'nofence was noticed'; }
@test "a death that is not told is noticed" { noticed 'nodeath was noticed'; }
@test "a withdrawal that always wins is noticed" { noticed 'nowithdraw was noticed'; }
@test "a batch without a shootdown is noticed" { noticed 'noflush was noticed'; }
@test "a batch that overtakes faults is noticed" { noticed 'nosettle was noticed'; }
@test "read-only PTEs that stay dirty are noticed" { noticed 'noclean was noticed'; }
@test "a shootdown outside of the lock is noticed" { noticed 'nolockflush was noticed'; }
@test "tickets that are applied before they are are noticed" { noticed 'early was noticed'; }
@test "a queue that is told once of each endpoint is noticed" { noticed 'cqlost was noticed'; }
@test "a sleep by what was closed on the way is noticed" { noticed 'late was noticed'; }
@test "a command that ends before its batch is applied is noticed" { noticed 'uringearly was noticed'; }
@test "a batch that is canceled before it is undone is noticed" { noticed 'hasty was noticed'; }
@test "an entry that stands for many, and wakes few, is noticed" { noticed 'deaf was noticed'; }
@test "a queue whose pollers signal what it hears of is noticed" { noticed 'circle was noticed'; }

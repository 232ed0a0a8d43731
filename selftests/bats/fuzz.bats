#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Hostile peers that libFuzzer makes up; and that it would find what is broken.
# gate
# budget: 900 s

load helper

setup_file() {
	selftests/fuzz/run --seconds $((20 * ${FOS_BUDGET:-1})) \
		>"$BATS_FILE_TMPDIR/tap" || :
	selftests/fuzz/run --plants --seconds $((30 * ${FOS_BUDGET:-1})) \
		>"$BATS_FILE_TMPDIR/plants" || :
}

# says FILE WORDS: there is such a line, and every such line says ok.
says() {
	! grep -q '# SKIP' "$BATS_FILE_TMPDIR/$1" ||
		skip "$(sed 's/.*# SKIP //' "$BATS_FILE_TMPDIR/$1")"
	cat "$BATS_FILE_TMPDIR/$1"
	grep -q "^ok [0-9]* $2" "$BATS_FILE_TMPDIR/$1"
	run ! grep "^not ok [0-9]* $2" "$BATS_FILE_TMPDIR/$1"
}

@test "ring: whatever lies in shared memory" { says tap ring:; }
@test "hello: whatever comes through the socket" { says tap hello:; }
@test "attr: whatever the caller hands in" { says tap attr:; }

@test "a bound that is not checked is found" {
	says plants 'inline in ring.c'
	says plants 'area in ring.c'
	says plants 'offset in ring.c'
}

@test "a word that is read twice is found" { says plants 'twice in ring.c'; }

@test "whatever else is planted in the library is found" { says plants ''; }

@test "inputs of the corpora are few and short" {
	local t

	for t in ring hello attr; do
		[[ $(find "selftests/fuzz/corpus/$t" -type f | wc -l) -le 80 ]]
	done
	nothing "too long" find selftests/fuzz/corpus -type f -size +4095c
}

@test "selftests/fuzz/run tells how it is used" {
	run -0 selftests/fuzz/run --help
	[[ $output == usage:*--seconds* ]]
	run -125 selftests/fuzz/run --seconds 0
	run -125 selftests/fuzz/run nosuchtarget
}

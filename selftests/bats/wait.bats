#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# fosbench wait: the policy of lib/spin.c, replayed. Its figures are the same each
# time, so that they are judged here; and each rule of the policy is broken on
# purpose, which they must tell.
# budget: 600 s

load helper

setup() {
	have jq || skip "no jq; \`make deps\` installs it"
	bench=$build/bin/fosbench
	cd "$BATS_TEST_TMPDIR" || return
}

# What is promised of out.json: at most 1.1 times the best fixed threshold where
# waits are all alike, and 1.1 times who knows each of them where they change and
# stay so for a while; everywhere 2.1 times him, and eight sleeps; best, or within
# 5 %, of all policies; no two who sleep for ever; and where they should, because one
# takes his time, or wakes up late, no more than 1.1 times what sleeping costs; and a
# share of the time is kept; and what sleeps have come to cost is found out, and what
# polling costs where others are after the CPU.
keeps() {
	jq -e --argjson slack 8 '
		.wake_ns as $b | [.traces[] |
		(.policies[0].paid * .waits) as $paid |
		(.stationary | not) or .policies[0].x_fixed <= 1.1,
		$paid <= 2.1 * .clairvoyant * .waits + $slack * $b,
		.name != "on-off-fast" or .policies[0].x_clairvoyant <= 1.1,
		.own or .policies[0].paid <=
			1.05 * ([.policies[1:][].paid] | min)] +
		[.pairs[0].policies[0].in_the_end == 0] +
		[.pairs[1:][].policies | .[0].paid <=
			1.1 * (map(select(.name == "block"))[0].paid)] +
		[.share_polled > 1 and .share_polled <= 10] +
		[.slept_of_1000 | .dear < 100, .cheap > 900, .crowded > 900,
			.alone < 100] |
		length == 65 and all' "${1:-out.json}" >/dev/null
}

@test "what is promised of the default is kept, whatever a sleep costs" {
	local ns

	for ns in 700 2500 10000 50000 120000; do
		"$bench" wait --wake "$ns" --json out.json >"$ns.txt"
		echo "--wake $ns"
		grep -A 20 '^In short' "$ns.txt"
		keeps
	done
}

@test "figures are the same each time" {
	"$bench" wait --waits 20000 >one
	"$bench" wait --waits 20000 >two
	cmp one two
}

@test "others do not keep it" {
	"$bench" wait --json out.json >/dev/null
	for p in block spin fixed haltpoll ewma hybrid mutex napi; do
		jq --arg p "$p" '(.traces[], .pairs[]).policies |=
			map(select(.name == $p)) + .' out.json >"$p.json"
		! keeps "$p.json" || { echo "$p does"; return 1; }
	done
}

@test "each rule of the policy is needed" {
	local tree=$BATS_TEST_TMPDIR/tree name how n=0

	mkdir "$tree"
	(cd "$top" && cp -r Makefile VERSION LICENSES include lib bench tools \
		selftests kmod man examples "$tree")
	while IFS='|' read -r name how; do
		sed "$how" "$top/lib/spin.c" >"$tree/lib/spin.c"
		cmp -s "$top/lib/spin.c" "$tree/lib/spin.c" &&
			[[ $name != nothing* ]] &&
			{ echo "$name: nothing was changed"; return 1; }
		make -s -C "$tree" BUILD="$tree/build" bench >log 2>&1 ||
			{ cat log; return 1; }
		"$tree/build/bin/fosbench" wait --json out.json >/dev/null
		if keeps; then
			[[ $name == nothing* ]] || { echo "$name: not told"; return 1; }
		else
			[[ $name != nothing* ]] || { echo "$name: red"; return 1; }
		fi
		((++n))
	done <<-'END'
		nothing|
		no credit is asked for|s/return s->credit < .*/return ns;/
		what is paid is not charged|s/cost(s, w->ns, w->budget_ns);/best;/
		the past is not looked at|s/return at_most(s->past_ns, .*/return s->wake_ns;/
		the last wait is not looked at|s/return s->last_ns > .*/return s->wake_ns;/
		the first expert is followed|s/s->leader = leader;/s->leader = 0;/
		for one who slept nobody polls longer|s/ns += at_most(s->late_ns, .*/ns += 0;/
		for one who goes on to sleep it is polled|s/PATIENCE && !tries_again(s)/PATIENCE \&\& 0/
		it is not tried again|s/s->asleep % TRY_AGAIN < TRIES/0/
		a share is not used up|s/s->granted -= ns/(void)0/
		what was not taken of a share is given back|s/if (LOAD(&s->shared))/if (s->share)/
		sleeps cost what they did at first|s/^\tprice(s, w->woke_ns);//
		what they cost once is not forgotten|s/(more >> FORGET.*/0;/
		others are not heeded|s/crowded ? FOS_SPIN_CROWDED/0 ? FOS_SPIN_CROWDED/
		they are heeded for ever|s/crowded ? FOS_SPIN_CROWDED/1 ? FOS_SPIN_CROWDED/
		brief waits with others between are not learnt from|s/uint32_t brief = 0;/uint32_t brief = LOAD(\&s->brief);/
	END
	[[ $n == 16 ]]
}

@test "a recorded trace is replayed" {
	printf '# ns\n100\n\n200 and more\n 300\n' >trace
	run -0 "$bench" wait --trace trace --trace bursty --json out.json
	[[ $output == *'trace: 3 waits, recorded'*'bursty: 100000 waits'* ]]
	jq -e '.traces[0].clairvoyant == 200 and .traces[0].waits == 3 and
		.pairs == null' out.json >/dev/null
}

@test "a trace that is none is told" {
	run -1 "$bench" wait --trace no-such
	[[ $output == *'no-such is no shape (--list), and as a file: No such file'* ]]
	printf '1\nx\n' >bad
	run -1 "$bench" wait --trace bad
	[[ $output == *'bad, line 2: Invalid argument'* ]]
	printf '1\n-2\n' >bad
	run -1 "$bench" wait --trace bad
	[[ $output == *'bad, line 2: Invalid argument'* ]]
	printf '# nothing\n' >bad
	run -1 "$bench" wait --trace bad
	[[ $output == *'bad, line 1: No data available'* ]]
}

@test "real waits are recorded" {
	[[ $(nproc) -gt 1 ]] || skip "one CPU"
	run -0 "$bench" wait --record real --waits 500 --service 0,20
	[[ $output == '500 waits in real; '* ]]
	[[ $(grep -c '^[0-9]*$' real) == 500 ]]
	# Half of them took 20 us.
	[[ $(awk '/^[0-9]/ && $1 >= 20000' real | wc -l) -gt 100 ]]
	run -0 "$bench" wait --trace real
	[[ $output == *'real: 500 waits, recorded'* ]]
	run -1 "$bench" wait --record /no/such/file --waits 5
	[[ $output == *'/no/such/file: No such file'* ]]
}

@test "wrong options of wait are named" {
	run -64 "$bench" wait --service 3
	[[ $output == *'--service and --cpus go with --record'* ]]
	run -64 "$bench" wait --record x --service 1,-2
	[[ $output == *'--service: 1,-2 is not up to 16 numbers'* ]]
	run -64 "$bench" wait --waits 0
	[[ $output == *'--waits: 0 is not a number from 1 to 100000000'* ]]
	run -0 "$bench" wait --list
	[[ $output == *constant-short*haltpoll* ]]
}

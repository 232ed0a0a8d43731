# SPDX-License-Identifier: GPL-2.0-only
# The rules of tools/counts: $mode is check, accept or reasons; $base a slurped
# baseline, $new slurped figures (reasons: another baseline).

# How far a figure may move.  Beside a hog, slices of it decide; and without the module
# under lazy preemption (7.3), whether a tick comes between a wake-up and the sleep
# after it, which is 8 % between images of one source.
def limit($c): if startswith("hog ") then 0.03
	elif test("fastos-posix") and ($c.kernel | startswith("7.")) then 0.1
	else 0.015 end;
# A ratio is of two that may move by so much each.
def ratio_limit($c): 2 * limit($c);
# Of a hundred round trips. Who waits for a lock word may find it free: a trap less.
def slack: if test("fastos-(block|spin|fixed)|^tlb ") then [0, 2, 2, 2]
	else [0, 100, 40, 40] end;
def columns: ["instructions", "traps", "switches", "IPIs"];
# What one CPU is promised on every kernel.
def promised: ["fastos-block 8", "deep fastos-block 8"];

def identity: [.kernel, .package, .compiler, .qemu, .cpus];
def name: "\(.kernel) (\(.package)), \(.cpus) CPU, QEMU \(.qemu | split(" ")[0])";
def series: .kernel | split(".")[0:2] | join(".");
def abs: if . < 0 then -. else . end;
def percent: . * 1000 | (. + (if . < 0 then -0.5 else 0.5 end)) | trunc |
	(if . > 0 then "+" else "" end) + "\(if . < 0 then "-" else "" end)" +
	"\(abs / 10 | floor).\(abs % 10) %";
def times: . * 100 + 0.5 | floor | "\(. / 100 | floor).\(. % 100 + 100 | tostring[1:])x";

def exact($b): . as $c | [$b[] | select(identity == ($c | identity))][0];

# The same number of CPUs; then the series, the QEMU, the compiler decide.
def nearest($b): . as $c | [$b[] | select(.cpus == $c.cpus)] | max_by(
	[series == ($c | series), .qemu == $c.qemu, .compiler == $c.compiler]);

# "hog fastos-block 8" -> best of "hog ... 8"
def cell: split(" ") | (if length > 2 then .[0] + " " else "" end) + .[-1];
# Not $cell: jq would make that a function, too, of the same name.
def best($which): [.posix | to_entries[] | select((.key | cell) == $which) |
	.value[0]] | min;
def ratio($figure): best($figure | cell) as $best |
	if $best and .fastos[$figure] then $best / .fastos[$figure][0] else null end;

def moved($c; $key; $old; $new): [range(4)] | map(select(
	(($new[.] - $old[.]) | abs) as $d |
	$d > ($key | limit($c)) * $old[.] and $d > ($key | slack)[.]));

# Lines for figures that moved; $word is RED or, of another baseline, "moved".
def compare($b; $word): . as $c | ($b.fastos + $b.posix) as $old |
	(.fastos + .posix) | to_entries[] | .key as $k | .value as $new |
	if $old[$k] then moved($c; $k; $old[$k]; $new)[] |
		"\($word) \($k): \(columns[.]) \($old[$k][.]) -> \($new[.])" +
		(if $old[$k][.] > 0 then
			", \($new[.] / $old[$k][.] - 1 | percent)" else "" end)
	else "\($word) \($k): not in the baseline" end;

def ratios($b): . as $c | .fastos | keys[] | . as $k |
	($c | ratio($k)) as $now | ($b // {} | if . == {} then null else ratio($k) end) as $was |
	if $now == null then empty
	elif $was and $now < $was * (1 - ($k | ratio_limit($c))) then
		"RED \($k): best POSIX is \($now | times) of it, was \($was | times)"
	elif $c.cpus == 1 and (promised | index([$k])) and $now < 1 then
		"RED \($k): dearer than the best POSIX engine, \($now | times)"
	else empty end;

# In place, nothing is to be paid for the size of a body.
def sizes: [.fastos | to_entries[] | select(.key | startswith("bulk ")) |
	{ name: (.key | split(" ")[1]), n: .value[0] }] | group_by(.name)[] |
	(map(.n) | min) as $least | (map(.n) | max) as $most |
	select($most > 1.05 * $least) |
	"RED bulk \(.[0].name): \($least) to \($most) instructions, by size";

def check($b): . as $c | exact($b) as $same | ($same // nearest($b)) as $near |
	[if $same then compare($same; "RED")
	 elif $near then "no baseline for it; nearest: \($near | name)",
		compare($near; "moved")
	 else "no baseline for it, and none near" end] as $lines |
	[ratios($near), sizes] as $ratios |
	"\(name): \(.fastos + .posix | length) figures" +
	(if $same and $lines == [] and $ratios == [] then
		", all within 1.5 % of the baseline" else "" end),
	($lines + $ratios)[];

# ---- writing -----------------------------------------------------------------

def lines($indent): to_entries | map("\($indent)\(.key | tojson): " +
	(.value | tojson)) | join(",\n");
def entry: "\t{\n" + ({kernel, package, compiler, qemu, cpus, reason} |
	lines("\t\t")) + ",\n" +
	(["fastos", "posix"] as $kinds | . as $e | $kinds | map(
		"\t\t\"\(.)\": {\n" + ($e[.] | lines("\t\t\t")) + "\n\t\t}") |
		join(",\n")) + "\n\t}";
def write: "{\n\"licence\": \"SPDX-License-Identifier: MIT\",\n" +
	"\"figures\": \"of a round trip: instructions; of 100: traps, switches, IPIs\",\n" +
	"\"baselines\": [\n" + (.baselines | map(entry) | join(",\n")) + "\n]\n}";

# One of a series and number of CPUs is enough: it is the nearest of the next.
def accept($b): . + {reason: $ARGS.named.reason} | . as $e | exact($b) as $old |
	if $old and $old.reason == $e.reason and
	   [$old.fastos, $old.posix] != [$e.fastos, $e.posix]
	then error("\(name): the reason must be another one") else . end |
	{ baselines: ([$b[] | select([series, .cpus] != ($e | [series, .cpus]))]
		+ [$e] | sort_by([.cpus, (series | split(".") | map(tonumber))])) } |
	write;

def reasons($old): .baselines[] | . as $e | exact($old) as $o |
	if $o and $o.reason == $e.reason and
	   [$o.fastos, $o.posix] != [$e.fastos, $e.posix]
	then "RED \(name): figures changed, the reason did not" else empty end;

($base[0].baselines) as $b | $new[0] |
if $mode == "check" then check($b)
elif $mode == "accept" then accept($b)
else reasons($b) end

# SPDX-License-Identifier: GPL-2.0-only
# The report of tools/coverage, from what gcov says in JSON of each object;
# $prefix is where the module was built.

# A line, branch or function of a header is in several objects.
def total(f): map(f) | add;
def lines: group_by(.line_number) | map(total(.count));
def branches: group_by([.line_number, .function_name]) |
	map([.[].branches | map(.count)] | transpose | map(add)) | add // [];
def functions: group_by([.start_line, .name]) | map({
	line: .[0].start_line, name: .[0].name, count: total(.execution_count) });

def covered: [(map(select(. > 0)) | length), length];
def sum: transpose | map(add);
def percent: if .[1] == 0 then "-" else
	(1000 * .[0] / .[1] | floor | "\(. / 10 | floor).\(. % 10) %") end;

def right($n): " " * ($n - length) + .;
def left($n): . + " " * ($n - length);
def cell: (percent | right(9)) + (" of \(.[1])" | left(9));
def row($name): ($name | left(22)) + (map(cell) | add) | sub(" +$"; "");

# Macros make the functions of trace.h.
[inputs.files[] | .file |= ltrimstr($prefix) |
	select((.file | test("^(lib|kmod)/")) and .file != "kmod/trace.h")] |
group_by(.file) | map({
	file: .[0].file,
	functions: (map(.functions[]) | functions),
	cells: [(map(.lines[]) | lines | covered),
		(map(.lines[]) | branches | covered),
		(map(.functions[]) | functions | map(.count) | covered)]
}) |
("" | left(22)) + ([["lines", "branches", "functions"][] | right(9) | left(18)] |
	add | sub(" +$"; "")),
(group_by(.file | split("/")[0])[] |
	(.[] | .file as $f | .cells | row($f)),
	(.[0].file | split("/")[0]) as $dir | ([.[].cells] | transpose | map(sum)) | row($dir)),
"",
([.[] | .file as $f | .functions[] | select(.count == 0) |
	"  \($f):\(.line) \(.name)"] |
	"functions that nothing called: \(length)", .[])

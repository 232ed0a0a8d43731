# SPDX-License-Identifier: GPL-2.0-only
# From the JSON of `fosbench ipc` to figures: for "ENGINE BYTES", and "hog ..."
# beside another process, instructions of a round trip, and traps, switches and
# IPIs of a hundred; "deep ..." with many at once. What both sides used; beside a hog, what passed. "bulk ..."
# is the same of hand-overs, from `fosbench bulk`.

def both: .client + .server;
def whole: . + 0.5 | floor;

def figure($hog):
	[(if $hog then .median else .cpu_total end),
	 (100 * (.traps | both)),
	 (100 * (.nvcsw.client + .nvcsw.server + .nivcsw.client +
		 .nivcsw.server)),
	 (100 * (.ipis | add))] | map(whole);

def figures($class):
	[.[] | . as $run | .cells[] | . as $cell | .engines[] |
	 select(.status == "ok" and .class == $class) |
	 { key: ((if $run.hog then "hog " elif $run.command == "bulk"
		then "bulk " elif $cell.depth > 1 then "deep "
		else "" end) + .name + " " +
		 ($cell.size | tostring)),
	   value: figure($run.hog) }] | from_entries;

{
	kernel: .[0].machine.kernel,
	package: .[0].machine.kernel_package,
	compiler: $compiler,
	qemu: $qemu,
	cpus: $cpus,
	fastos: figures("fastos"),
	posix: figures("posix")
}

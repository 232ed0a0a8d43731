#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# lib/look.c: who polls finds out that others are after his CPU, by what getrusage(2)
# says.  What it says is made up here: on a real machine it is a matter of the hour.

load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	cat >look.c <<-'END'
		#include <stdio.h>
		#include <sys/resource.h>
		#include "look.h"

		/*
		 * So many ms went by, of which the thread ran so many, slept and was
		 * robbed so often; or it is not told.  Then what it believes, and how
		 * often it has asked.
		 */
		static const struct {
			const char *what;
			unsigned int ms, ran;
			int slept, robbed;
			bool refused, crowded;
			int asked;
		} steps[] = {
			{ "nothing to compare with", 1000, 500, 0, 9, .asked = 1 },
			{ "too early", 7, 1, 0, 5, .asked = 1 },
			{ "three quarters of the time were mine", 1, 5, 0, 1, .asked = 2 },
			{ "not robbed", 8, 5, 0, 0, .asked = 3 },
			{ "slept", 8, 5, 1, 1, .asked = 4 },
			{ "robbed of three of eight ms", 8, 5, 0, 1, 0, true, 5 },
			{ "that is believed for 128 ms", 127, 127, 0, 0, 0, true, 5 },
			{ "all of the time was mine", 1, 1, 0, 1, .asked = 6 },
			{ "robbed again", 8, 4, 0, 1, 0, true, 7 },
			{ "not told", 128, 0, 0, 0, true, false, 8 },
			{ "never told", 8, 0, 0, 0, true, false, 9 },
			{ 0 }
		}, *now;

		static struct rusage used;
		static int asked;

		int getrusage(__rusage_who_t who, struct rusage *r)
		{
			asked++;
			if (now->refused || who != RUSAGE_THREAD)
				return -1;
			*r = used;
			return 0;
		}

		int main(void)
		{
			uint64_t ms = 0;
			int wrong = 0;

			for (now = steps; now->what; now++) {
				ms += now->ms;
				used.ru_utime.tv_usec += now->ran / 2 * 1000;
				used.ru_stime.tv_usec += (now->ran - now->ran / 2) * 1000;
				used.ru_nvcsw += now->slept;
				used.ru_nivcsw += now->robbed;
				fos__look_around_by(ms * 1000000);
				if (fos__crowded == now->crowded && asked == now->asked)
					continue;
				printf("%s: crowded %d, asked %d times\n", now->what,
				       fos__crowded, asked);
				wrong = 1;
			}
			return wrong;
		}
	END
}

# With this look.c.
tell() {
	cc -std=gnu11 -Wall -Wextra -Werror -D_GNU_SOURCE -I"$top/lib" -I"$top/include" \
		-I"$top/include/uapi" -o look look.c "$1" "$top/lib/spin.c"
	./look
}

@test "who never sleeps and is robbed of the CPU knows it for a while" {
	tell "$top/lib/look.c"
}

@test "each part of that is needed" {
	local name how

	while IFS='|' read -r name how; do
		sed "$how" "$top/lib/look.c" >other.c
		! cmp -s "$top/lib/look.c" other.c ||
			{ echo "$name: nothing was changed"; return 1; }
		run tell other.c
		[[ $status -eq 1 && $output == *crowded* ]] ||
			{ echo "$name: not told"; echo "$output"; return 1; }
	done <<-'END'
		who sleeps is not asked for|s/used.slept == then.slept/1/
		who was not robbed is robbed|s/used.robbed != then.robbed/1/
		all the time is asked for|s/4 \* (used.ns/3 * (used.ns/
		little is taken for nothing|s/4 \* (used.ns/8 * (used.ns/
		it is asked again at once|s/CROWDED_NS : AROUND_NS/AROUND_NS : AROUND_NS/
		the first look is believed|s/= then.at \&\&/=/
	END
}

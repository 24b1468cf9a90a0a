# SPDX-License-Identifier: BSD-2-Clause
# The processors that this process may run on, a number in each line; sourced.
processors_allowed()
{
	local range

	# "0-3,8"
	for range in $(sed -n -e 's/,/ /g' -e 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status); do
		seq "${range%-*}" "${range#*-}"
	done
}

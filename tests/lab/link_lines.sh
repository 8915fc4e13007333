# Lines with rate, queue, delay and loss in the lab of deploy/demo/lab.sh, by link_box (tests/link); and
# plain WireGuard over the same lines, to compare. Sourced, from the repository's root, after tests/lab/common.sh; by
# labs and by loadtest/link.

# Puts a line between two hosts that a veth joins; perfect until line_is says otherwise. Addresses and routes of
# the second host's interface are made anew.
insert_line() # NAME HOST INTERFACE HOST INTERFACE
{
	local name=$1 near_host=$2 near=$3 far_host=$4 far=$5 one addresses routes6
	addresses=$(ip -n "$lab-$far_host" -o address show dev "$far" scope global | awk '{ print $4 }')
	routes6=$(ip -n "$lab-$far_host" -6 route show dev "$far" proto boot)
	ip netns add "$lab-$name" && lab_hosts="$lab_hosts $name" || return 1
	on "$name" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	ip -n "$lab-$far_host" link set "$far" down &&
	ip -n "$lab-$far_host" link set "$far" name near netns "$lab-$name" &&
	ip link add "$far" netns "$lab-$far_host" type veth peer name far netns "$lab-$name" || return 1
	on "$near_host" "$bin/link_box" --bare "$near" && on "$far_host" "$bin/link_box" --bare "$far" || return 1
	ip -n "$lab-$name" link set near up
	ip -n "$lab-$name" link set far up
	ip -n "$lab-$far_host" link set "$far" up
	address "$far_host" "$far" $addresses
	while read -r one; do
		[ -z "$one" ] || ip -n "$lab-$far_host" -6 route add $one dev "$far"
	done <<<"$routes6"
	line_is "$name"
}

# What the line does from now on; `there` is from the first of its hosts. What was under way is lost.
line_is() # NAME [ARGUMENT OF link_box ...]
{
	local name=$1
	shift
	line_ends "$name"
	start "$name" "line-$name" chrt -f 1 "$bin/link_box" --stats "$lab_dir/line-$name.json" "$@" near far
	wait_for 5 line_stands "$name"
}

line_stands() # NAME
{
	[ "$(grep -c joined "$lab_dir/log/line-$1.log")" -gt "${line_starts[$1]:-0}" ]
}

# Its figures are in line-NAME.json then.
line_ends() # NAME
{
	line_starts[$1]=$(grep -c joined "$lab_dir/log/line-$1.log" 2>/dev/null)
	stop "line-$1"
}

# A figure of the line as of now, such as .there.dropped.
line_figure() # NAME EXPRESSION OF jq
{
	local file=$lab_dir/line-$1.json
	rm -f "$file"
	kill -USR1 "$(pid_of "line-$1")" && wait_for 5 jq -e . "$file" && jq -r "$2" "$file"
}

declare -A line_starts

# ---- plain WireGuard, wireguard-go at both ends: from hosts straight to the node's port ----

direct_node_up()
{
	direct_key=$(wg genkey)
	start node direct-node env LOG_LEVEL=error wireguard-go -f "hgN$$"
	wait_for 5 on node ip link show "hgN$$" || return 1
	on node wg set "hgN$$" listen-port 51999 private-key <(echo "$direct_key")
	ip -n "$lab-node" address add 10.99.0.1/24 dev "hgN$$"
	ip -n "$lab-node" link set "hgN$$" mtu 1280 up
	# The uplink forwards already, for the node's own tunnel.
	on node sysctl -qw "net.ipv4.conf.hgN$$.forwarding=1"
	on node nft -f - <<-'N'
		table ip direct {
			chain postrouting {
				type nat hook postrouting priority 100;
				ip saddr 10.99.0.0/24 masquerade
			}
		}
	N
}

direct_user_up() # HOST NUMBER
{
	local host=$1 number=$2 key interface=hg$2$$
	key=$(wg genkey)
	on node wg set "hgN$$" peer "$(echo "$key" | wg pubkey)" allowed-ips "10.99.0.1$number/32"
	start "$host" "direct-$host" env LOG_LEVEL=error wireguard-go -f "$interface"
	wait_for 5 on "$host" ip link show "$interface" || return 1
	on "$host" wg set "$interface" private-key <(echo "$key") peer "$(echo "$direct_key" | wg pubkey)" \
		allowed-ips 0.0.0.0/0 endpoint 192.0.2.10:51999
	ip -n "$lab-$host" address add "10.99.0.1$number/24" dev "$interface"
	ip -n "$lab-$host" link set "$interface" mtu 1280 up
	ip -n "$lab-$host" route add 198.51.100.0/24 dev "$interface"
}

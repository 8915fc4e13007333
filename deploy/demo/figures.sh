# The figures of the demo: iperf3's TCP from client to inet through the tunnel, and through WireGuard that
# goes directly from client to node, both ends wireguard-go. Interleaving would need two default routes, so
# each is measured in three runs in a row; the median counts. Sourced by run.

iperf_mbit() # [-R]
{
	on client iperf3 -c 198.51.100.80 -t 4 -O 1 -J "$@" | jq '.end.sum_received.bits_per_second / 1e6 | floor'
}

median_of_three() # COMMAND...
{
	{ "$@"; "$@"; "$@"; } | sort -n | sed -n 2p
}

direct_up()
{
	local ckey nkey
	ckey=$(wg genkey) nkey=$(wg genkey)
	start node direct-node wireguard-go -f "hgd$$"
	start client direct-client wireguard-go -f "hge$$"
	wait_for 5 on node ip link show "hgd$$" && wait_for 5 on client ip link show "hge$$" || return 1
	echo "$nkey" | on node wg set "hgd$$" listen-port 51999 private-key /dev/stdin \
		peer "$(echo "$ckey" | wg pubkey)" allowed-ips 10.99.0.2/32
	echo "$ckey" | on client wg set "hge$$" private-key /dev/stdin \
		peer "$(echo "$nkey" | wg pubkey)" allowed-ips 0.0.0.0/0 endpoint 192.0.2.10:51999
	ip -n "$lab-node" address add 10.99.0.1/24 dev "hgd$$"
	ip -n "$lab-client" address add 10.99.0.2/24 dev "hge$$"
	ip -n "$lab-node" link set "hgd$$" mtu 1280 up
	ip -n "$lab-client" link set "hge$$" mtu 1280 up
	ip -n "$lab-client" route add 198.51.100.0/24 dev "hge$$"
	on node sysctl -qw net.ipv4.ip_forward=1
	on node nft -f - <<-'N'
		table ip direct {
			chain postrouting {
				type nat hook postrouting priority 100;
				ip saddr 10.99.0.0/24 masquerade
			}
		}
	N
}

direct_down()
{
	on node nft delete table ip direct
	on node sysctl -qw net.ipv4.ip_forward=0
	stop direct-client
	stop direct-node
}

measure_tunnel()
{
	tunnel_up=$(median_of_three iperf_mbit)
	tunnel_down=$(median_of_three iperf_mbit -R)
}

measure_direct()
{
	direct_up || return 1
	direct_first=$(median_of_three iperf_mbit)
	direct_down_rate=$(median_of_three iperf_mbit -R)
	direct_down
}

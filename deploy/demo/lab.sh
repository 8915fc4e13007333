# The lab: eight hosts as network namespaces of this machine. Sourced by deploy/demo/run and by the lab
# tests. Everything it makes carries the prefix $lab, so that several labs can stand side by side, and
# lab_down takes all of it away again.
#
#                          core (the internet's backbone)
#      198.51.100.0/24 ______|_____ 203.0.113.0/24
#         |        192.0.2.128/25  |  192.0.2.0/25  |
#       inet             |       server            home    a NAT router, 192.0.2.10
#  web, iperf3, DNS    clientgw  BosonServer         |     192.168.1.0/24, 2001:db8:2::/64
#  198.51.100.80       NAT       203.0.113.10      __|__________
#  2001:db8:80::80       |                        |             |
#                     client                    node           lan
#                  192.168.77.2            192.168.1.10    192.168.1.20
#                  higgs                   HiggsNode       a printer, and 169.254.169.254
#
# `inet` takes packets from the home router alone: a client that reaches it came through the node.
# The test networks of RFC 5737 stand for the internet, which is why the node lists them in exit_allow.

lab_hosts="core server inet home node lan clientgw client"

lab_init() # PREFIX DIR
{
	lab=$1
	lab_dir=$2
	mkdir -p "$lab_dir/log" "$lab_dir/pid" "$lab_dir/etc"
	node_interface=hgn$$
	client_interface=hgc$$
}

# Runs a command on a host of the lab.
on() # HOST COMMAND...
{
	local host=$1
	shift
	ip netns exec "$lab-$host" "$@"
}

# Starts a program on a host and remembers its pid by name; its output goes to log/NAME.log.
start() # HOST NAME COMMAND...
{
	local host=$1 name=$2
	shift 2
	ip netns exec "$lab-$host" "$@" >>"$lab_dir/log/$name.log" 2>&1 </dev/null &
	echo $! >"$lab_dir/pid/$name"
	disown
}

pid_of() # NAME
{
	cat "$lab_dir/pid/$1" 2>/dev/null
}

# True until the process is gone altogether. A zombie counts as running: the first thread of a killed
# process is one while the others still hold its descriptors, locks and netlink sockets.
is_running() # NAME
{
	local pid
	pid=$(pid_of "$1") && [ -n "$pid" ] && [ -d "/proc/$pid" ]
}

# Ends a program and waits until it is gone: TERM, and KILL after 15 s.
stop() # NAME [SIGNAL]
{
	local pid tries=150
	pid=$(pid_of "$1") || return 0
	kill "-${2:-TERM}" "$pid" 2>/dev/null
	while is_running "$1"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || { kill -KILL "$pid" 2>/dev/null; break; }
		sleep 0.1
	done
	rm -f "$lab_dir/pid/$1"
}

# Tries a command until it succeeds, for at most SECONDS.
wait_for() # SECONDS COMMAND...
{
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
}

link_hosts() # HOST INTERFACE HOST INTERFACE
{
	ip link add "$2" netns "$lab-$1" type veth peer name "$4" netns "$lab-$3"
	ip -n "$lab-$1" link set "$2" up
	ip -n "$lab-$3" link set "$4" up
}

address() # HOST INTERFACE ADDRESS...
{
	local host=$1 interface=$2 one
	shift 2
	for one in "$@"; do
		case $one in
		*:*) ip -n "$lab-$host" address add "$one" dev "$interface" nodad ;;
		*) ip -n "$lab-$host" address add "$one" dev "$interface" ;;
		esac
	done
}

default_route() # HOST GATEWAY...
{
	local host=$1 one
	shift
	for one in "$@"; do
		case $one in
		*:*) ip -n "$lab-$host" -6 route add default via "$one" ;;
		*) ip -n "$lab-$host" route add default via "$one" ;;
		esac
	done
}

lab_make_hosts()
{
	local host
	for host in $lab_hosts; do
		ip netns add "$lab-$host" || return 1
		ip -n "$lab-$host" link set lo up
		# A new network forwards when this machine does.
		on $host sysctl -qw net.ipv4.ip_forward=0
		# No duplicate address detection: what the kernel holds is the same at once and later.
		on $host sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
		mkdir -p "/etc/netns/$lab-$host"
		printf '127.0.0.1 localhost\n203.0.113.10 boson.test\n' >"/etc/netns/$lab-$host/hosts"
		# A name server that answers nothing: a host that resolves a name does it through its own.
		echo 'nameserver 127.0.0.254' >"/etc/netns/$lab-$host/resolv.conf"
	done
	echo 'nameserver 198.51.100.53' >"/etc/netns/$lab-node/resolv.conf"
}

lab_wire()
{
	link_hosts core server server eth0
	link_hosts core inet inet eth0
	link_hosts core home home wan
	link_hosts core clientgw clientgw wan
	link_hosts clientgw lan client eth0
	ip -n "$lab-home" link add lan type bridge
	ip -n "$lab-home" link set lan up
	link_hosts home port1 node eth0
	link_hosts home port2 lan eth0
	ip -n "$lab-home" link set port1 master lan
	ip -n "$lab-home" link set port2 master lan

	address core server 203.0.113.1/24
	address server eth0 203.0.113.10/24
	address core inet 198.51.100.1/24 2001:db8:80::1/64
	address inet eth0 198.51.100.80/24 198.51.100.53/24 2001:db8:80::80/64
	address core home 192.0.2.1/25 2001:db8:1::1/64
	address home wan 192.0.2.10/25 2001:db8:1::10/64
	address core clientgw 192.0.2.129/25
	address clientgw wan 192.0.2.140/25
	address home lan 192.168.1.1/24 2001:db8:2::1/64
	address node eth0 192.168.1.10/24 2001:db8:2::10/64
	address lan eth0 192.168.1.20/24 169.254.169.254/32
	address clientgw lan 192.168.77.1/24
	address client eth0 192.168.77.2/24

	default_route server 203.0.113.1
	default_route inet 198.51.100.1 2001:db8:80::1
	# Debian's default, whatever this machine's is: BBR would press on through any loss it causes.
	ip -n "$lab-inet" route replace default via 198.51.100.1 congctl cubic 2>/dev/null ||
		ip -n "$lab-inet" route replace default via 198.51.100.1
	default_route home 192.0.2.1 2001:db8:1::1
	default_route clientgw 192.0.2.129
	default_route node 192.168.1.1 2001:db8:2::1
	default_route lan 192.168.1.1
	default_route client 192.168.77.1
	ip -n "$lab-core" -6 route add 2001:db8:2::/64 via 2001:db8:1::10
	ip -n "$lab-node" route add 169.254.169.254 dev eth0
}

lab_rules()
{
	local host
	for host in core home clientgw; do
		on $host sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	done
	on home nft -f - <<-'N'
		table inet router {
			chain forward {
				type filter hook forward priority 0; policy drop;
				iifname "lan" accept
				ct state established,related accept
				ct status dnat accept
			}
			chain input {
				type filter hook input priority 0; policy drop;
				iifname { "lan", "lo" } accept
				ct state established,related accept
				meta l4proto { icmp, icmpv6 } accept
			}
			chain prerouting {
				type nat hook prerouting priority -100;
				iifname "wan" udp dport 51999 dnat ip to 192.168.1.10
			}
			chain postrouting {
				type nat hook postrouting priority 100;
				oifname "wan" ip saddr 192.168.1.0/24 masquerade
			}
		}
	N
	on clientgw nft -f - <<-'N'
		table ip router {
			chain postrouting {
				type nat hook postrouting priority 100;
				oifname "wan" masquerade
			}
		}
	N
	# What makes the server in `inet` one that the client cannot otherwise reach.
	on core nft -f - <<-'N'
		table inet backbone {
			chain forward {
				type filter hook forward priority 0; policy accept;
				oifname "inet" iifname != "home" drop
			}
		}
	N
}

lab_up()
{
	lab_make_hosts && lab_wire && lab_rules
}

# Ends every process in the lab's namespaces, then removes them and what stands in /etc/netns.
lab_down()
{
	local host pids
	for host in $lab_hosts inject; do
		[ -e "/run/netns/$lab-$host" ] || continue
		pids=$(ip netns pids "$lab-$host")
		[ -z "$pids" ] || kill -TERM $pids 2>/dev/null
	done
	local tries=30
	while [ $tries -gt 0 ]; do
		pids=""
		for host in $lab_hosts inject; do
			[ ! -e "/run/netns/$lab-$host" ] || pids="$pids$(ip netns pids "$lab-$host")"
		done
		[ -n "$pids" ] || break
		tries=$((tries - 1))
		sleep 0.1
	done
	for host in $lab_hosts inject; do
		[ -e "/run/netns/$lab-$host" ] || continue
		pids=$(ip netns pids "$lab-$host")
		[ -z "$pids" ] || kill -KILL $pids 2>/dev/null
		ip netns delete "$lab-$host"
		rm -rf "/etc/netns/$lab-$host"
	done
	rmdir /etc/netns 2>/dev/null
	rm -f /var/run/wireguard/hg?$$.sock
	rm -rf "$lab_dir"
}

# The checks of the demo, in order. Each is a function that sets `detail`, a short text for the report,
# and returns 0 (held), 1 (did not) or 77 (cannot be tried here; `detail` says why). Sourced by run.

server_port_open()
{
	on client curl -sS --max-time 2 --cacert "$lab_dir/etc/ca.pem" \
		https://boson.test:8443/api/v1/health/ready -o /dev/null -f
}

node_record()
{
	rest GET "/nodes/$(cat "$lab_dir/higgs/agent/node_id")"
}

node_is_online()
{
	[ "$(node_record | jq -r .status)" = online ]
}

legs_at_relay()
{
	bus relay ListLegs | jq -r '.legs // [] | length'
}

leg_is_attached()
{
	[ "$(legs_at_relay)" = 1 ]
}

check_enrolled()
{
	start_agent
	wait_for 20 node_is_online || { detail="the node is not online"; return 1; }
	detail="node $(cut -c1-8 "$lab_dir/higgs/agent/node_id") is online by its heartbeats"
}

check_certificate()
{
	start_forwarder wrong-ca
	wait_for 10 grep -qi certificat "$lab_dir/log/forwarder.log"
	sleep 1
	if leg_is_attached; then
		detail="a relay with a certificate of another authority was accepted"
		return 1
	fi
	grep -qi certificat "$lab_dir/log/forwarder.log" || {
		detail="no complaint about the certificate in the log"
		return 1
	}
	stop forwarder
	start_forwarder higgs
	wait_for 20 leg_is_attached || { detail="no leg at the relay"; return 1; }
	detail="wss://boson.test holds the node's leg; the same with another authority was refused"
}

check_unreachable_before()
{
	if on client curl -s --max-time 2 http://198.51.100.80/whoami -o /dev/null; then
		detail="the client reaches inet without a tunnel: the lab proves nothing"
		return 1
	fi
	detail="without a tunnel the client cannot reach inet"
}

check_connect()
{
	local began=$SECONDS
	higgs_connect || { detail="higgs connect: $(tail -1 "$lab_dir/log/higgs.log")"; return 1; }
	session=$(higgs_status | jq -r .sessionId)
	address4=$(higgs_status | jq -r .address4 | cut -d/ -f1)
	[ -n "$session" ] && [ "$session" != null ] || { detail="no session in higgs status"; return 1; }
	detail="session $(echo "$session" | cut -c1-8), address $address4, $((SECONDS - began)) s"
}

sha_of()
{
	sha256sum | cut -d' ' -f1
}

check_download()
{
	local want got
	want=$(sha_of <"$lab_dir/www/file.bin")
	got=$(on client curl -s --max-time 120 http://198.51.100.80/file.bin | sha_of)
	[ "$want" = "$got" ] || { detail="the file came back different"; return 1; }
	detail="100 MB, SHA-256 $(echo "$got" | cut -c1-12)... on both sides"
}

check_source_address()
{
	local seen seen6
	seen=$(on client curl -s --max-time 5 http://198.51.100.80/whoami)
	seen6=$(on client curl -s --max-time 5 'http://[2001:db8:80::80]/whoami')
	detail="inet saw $seen and $seen6"
	[ "$seen" = 192.0.2.10 ] && [ "$seen6" = 2001:db8:2::10 ]
}

check_ping()
{
	detail=$(on client ping -c 5 -i 0.2 -W 2 -q 198.51.100.80 | tail -2 | tr '\n' ' ')
	echo "$detail" | grep -q ' 0% packet loss'
}

check_dns()
{
	local answer
	answer=$(on client getent ahostsv4 web.inet.test | awk 'NR == 1 { print $1 }')
	detail="web.inet.test is ${answer:-not found}, asked of $(on client sh -c \
		"awk '/^nameserver/ { print \$2; exit }' /etc/resolv.conf")"
	[ "$answer" = 198.51.100.80 ]
}

check_dns_tcp()
{
	local server
	server=$(on client awk '/^nameserver/ { print $2; exit }' /etc/resolv.conf)
	detail="by TCP: $(on client dig +tcp +short +time=3 +tries=1 "@$server" web.inet.test AAAA)"
	[ "$detail" = "by TCP: 2001:db8:80::80" ]
}

check_upload()
{
	on client curl -s --max-time 60 -T "$lab_dir/www/upload-me" http://198.51.100.80/upload/ -o /dev/null
	cmp -s "$lab_dir/www/upload-me" "$lab_dir/www/upload/upload-me" || {
		detail="the upload came out different"
		return 1
	}
	detail="20 MB up, byte-identical"
}

check_udp()
{
	local answer
	answer=$(echo hello-by-udp | on client socat -t 2 - UDP4:198.51.100.80:7777)
	detail="echo said: $answer"
	[ "$answer" = hello-by-udp ]
}

check_parallel()
{
	local out="$lab_dir/parallel" i good=0 want
	mkdir -p "$out"
	want=$(sha_of <"$lab_dir/www/small.bin")
	for i in $(seq 200); do
		printf 'url = "http://198.51.100.80/small.bin?%d"\noutput = "%s/%d"\n' "$i" "$out" "$i"
	done >"$out/list"
	on client curl -s --max-time 60 --parallel --parallel-immediate --parallel-max 200 -K "$out/list" 2>/dev/null
	for i in $(seq 200); do
		[ "$(sha_of <"$out/$i" 2>/dev/null)" != "$want" ] || good=$((good + 1))
	done
	detail="$good of 200 connections at once brought their file"
	[ "$good" = 200 ]
}

check_shapes()
{
	local forwarded before after sent=25 answer url
	forwarded=$(relay_counter '^datagrams_total')
	before=$(relay_counter '^drops_total.*"(short|type|reserved|length)"')
	answer=$(rest POST /routing/request "{\"clientId\": \"$(uuidgen)\", \"publicKey\": \"$(wg genkey |
		wg pubkey)\"}")
	url=$(echo "$answer" | jq -r .selectedRoute.relayEndpoint)
	echo "$answer" | jq -r .selectedRoute.relayTicket >"$lab_dir/etc/probe.ticket"
	on server "$bin/leg_probe" "$url" "$lab_dir/etc/probe.ticket" "$lab_dir/etc/ca.pem" $sent \
		>>"$lab_dir/log/probe.log" 2>&1 || { detail="the probe got no leg"; return 1; }
	after=$(relay_counter '^drops_total.*"(short|type|reserved|length)"')
	detail="$forwarded datagrams forwarded, each of WireGuard's shape; of $sent without it $((after -
		before)) were counted and dropped"
	[ "$forwarded" -gt 10000 ] && [ "$before" = 0 ] && [ $((after - before)) = $sent ]
}

# Absolute difference of two counters in percent of the second.
difference() # A B
{
	awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; if (d < 0) d = -d; printf "%.2f", b ? 100 * d / b : 100 }'
}

interface_bytes() # HOST INTERFACE rx | tx
{
	on "$1" cat "/sys/class/net/$2/statistics/$3_bytes"
}

# What was matched at the node is what passed the node's interface; what the client sent and got differs from that by
# what was lost on the way, which a busy machine's queues do drop.
check_flows()
{
	local report up down up_difference down_difference up_lost down_lost tries=20
	# The node reports every second or two; nothing else flows meanwhile.
	while [ $tries -gt 0 ]; do
		report=$(bus relay ListFlows "{\"sessionId\": \"$session\"}")
		up=$(echo "$report" | jq -r '.bytesUp // 0')
		down=$(echo "$report" | jq -r '.bytesDown // 0')
		up_difference=$(difference "$up" "$(interface_bytes node "$node_interface" rx)")
		down_difference=$(difference "$down" "$(interface_bytes node "$node_interface" tx)")
		up_lost=$(difference "$up" "$(interface_bytes client "$client_interface" tx)")
		down_lost=$(difference "$down" "$(interface_bytes client "$client_interface" rx)")
		detail="relay was told $up up, $down down: $up_difference % and $down_difference % off the node's"
		detail="$detail interface, $up_lost % and $down_lost % off the client's"
		awk -v a="$up_difference" -v b="$down_difference" -v c="$up_lost" -v d="$down_lost" \
			'BEGIN { exit !(a <= 2 && b <= 2 && c <= 10 && d <= 10) }' &&
			return 0
		tries=$((tries - 1))
		sleep 0.5
	done
	return 1
}

reached_from_tunnel() # ADDRESS:PORT
{
	[ "$(on client curl -s --max-time 2 "http://$1/")" = reached ]
}

home_targets()
{
	local tunnel
	tunnel=$(on node ip -4 -o address show dev "$node_interface" | awk '{ print $4 }' | cut -d/ -f1)
	echo "192.168.1.20:8088 192.168.1.1:8088 192.168.1.10:8088 169.254.169.254:8088 $tunnel:8089"
}

check_home_is_safe()
{
	local target reached=""
	for target in $(home_targets); do
		! reached_from_tunnel "$target" || reached="$reached $target"
	done
	[ -z "$reached" ] || { detail="reached from the tunnel:$reached"; return 1; }
	detail="$(home_targets) answered nothing"
}

tunnel_works()
{
	[ "$(on client curl -s --max-time 2 http://198.51.100.80/whoami)" = 192.0.2.10 ]
}

restart_forwarder() # CONFIG
{
	stop forwarder
	start_forwarder "$1"
	wait_for 20 tunnel_works
}

check_home_probe_can_fail()
{
	local target failed=""
	restart_forwarder no-policy || { detail="no tunnel with the policy off"; return 1; }
	for target in $(home_targets); do
		wait_for 6 reached_from_tunnel "$target" || failed="$failed $target"
	done
	restart_forwarder higgs || { detail="no tunnel after the policy came back"; return 1; }
	[ -z "$failed" ] || { detail="not reached with the policy off:$failed"; return 1; }
	detail="the same probes got through with the policy off, so the check above can fail"
}

# A download slow enough to be under way while things are killed: 100 MB at 6 MB/s.
download_begin()
{
	rm -f "$lab_dir/slow.bin"
	on client curl -s --max-time 120 --limit-rate 6M -o "$lab_dir/slow.bin" \
		http://198.51.100.80/file.bin &
	download=$!
	wait_for 10 test -s "$lab_dir/slow.bin"
}

download_end()
{
	wait $download && cmp -s "$lab_dir/slow.bin" "$lab_dir/www/file.bin"
}

service_is_ready() # NAME
{
	grep -q "event=ready\| ready" "$lab_dir/log/$1.log" && is_running "$1"
}

check_kill_control_plane()
{
	local service
	[ "$body" = processes ] || {
		detail="one process holds all services: run with --processes"
		return 77
	}
	download_begin
	for service in gateway discovery routing metrics turn; do
		is_running $service || { detail="$service was not running"; return 1; }
		stop $service KILL
	done
	sleep 2
	kill -0 $download 2>/dev/null || { detail="the download did not outlive the services"; return 1; }
	for service in discovery routing metrics turn gateway; do
		start_service $service
	done
	download_end || { detail="the download broke"; return 1; }
	wait_for 20 node_is_online || { detail="the node did not come back"; return 1; }
	detail="gateway, discovery, routing, metrics and turn were killed: the download went on"
}

check_kill_relay()
{
	[ "$body" = processes ] || {
		detail="one process holds all services: run with --processes"
		return 77
	}
	download_begin
	stop relay KILL
	start_service relay
	download_end || { detail="the TCP connection broke"; return 1; }
	detail="the relay was killed and started again: the same TCP connection brought the whole file"
}

check_kill_bosond()
{
	[ "$body" = bosond ] || {
		detail="each service is its own process here: run without --processes"
		return 77
	}
	download_begin
	stop bosond KILL
	start_boson
	download_end || { detail="the TCP connection broke"; return 1; }
	wait_for 20 node_is_online || { detail="the node did not come back"; return 1; }
	detail="bosond was killed and started again: the same TCP connection brought the whole file"
}

# A second client of the node whose WireGuard sends straight to the node's own port, so that packets
# come out of the tunnel interface even while no forwarder holds a leg.
injector_up()
{
	local key answer port interface=hgi$$
	key=$(wg genkey)
	answer=$(rest POST /routing/request "{\"clientId\": \"$(uuidgen)\", \"publicKey\": \"$(echo "$key" |
		wg pubkey)\"}")
	injector_address=$(echo "$answer" |
		jq -r .selectedRoute.nodeEndpoint.wireguardConfig.address | cut -d, -f1)
	port=$(on node wg show "$node_interface" listen-port) || return 1
	ip netns add "$lab-inject"
	start node injector wireguard-go -f $interface
	wait_for 5 on node ip link show $interface || return 1
	echo "$key" | on node wg set $interface private-key /dev/stdin peer \
		"$(echo "$answer" | jq -r .selectedRoute.nodeEndpoint.publicKey)" \
		endpoint "127.0.0.1:$port" allowed-ips 0.0.0.0/0
	ip -n "$lab-node" link set $interface netns "$lab-inject"
	ip -n "$lab-inject" address add "$injector_address" dev $interface
	ip -n "$lab-inject" link set $interface up
	ip -n "$lab-inject" route add default dev $interface
}

injected() # prints how many packets of the injector reached inet
{
	on inet nft -j list counter inet count injected | jq '.nftables[] | .counter? // empty | .packets'
}

inject() # N
{
	local i
	for i in $(seq "$1"); do
		echo injected | ip netns exec "$lab-inject" socat -u - UDP4-SENDTO:198.51.100.80:9999
	done
}

at_least() # N COMMAND...
{
	local n=$1
	shift
	[ "$("$@")" -ge "$n" ]
}

# How many packets the guard table has dropped.
guard_drops()
{
	on node nft -j list table inet "higgs_guard_$node_interface" |
		jq '[.. | .counter? // empty | .packets] | add // 0'
}

# 0: nothing is doubled, compared with what stood before.
node_state()
{
	on node nft list tables | sort
	on node ip -o link | sed 's/^[0-9]*: //; s/ .*//' | sort
	on node ip rule
}

check_kill_forwarder()
{
	local before middle after dropped shape began
	injector_up || { detail="no second client"; return 1; }
	inject 5
	wait_for 5 at_least 5 injected || {
		detail="injected packets do not arrive while all is well: proves nothing"
		return 1
	}
	before=$(injected)
	shape=$(node_state)
	stop forwarder KILL
	pgrep -f "wireguard-go.*$node_interface" >/dev/null || {
		detail="wireguard-go died with the forwarder: proves nothing"
		return 1
	}
	dropped=$(guard_drops)
	inject 20
	wait_for 5 at_least $((dropped + 20)) guard_drops || {
		detail="the packets did not come to the guard: proves nothing"
		return 1
	}
	middle=$(injected)
	[ "$middle" = "$before" ] || {
		detail="$((middle - before)) packets were forwarded without a forwarder"
		return 1
	}
	began=$SECONDS
	start_forwarder higgs
	wait_for 20 tunnel_works || { detail="the session did not come back within 20 s"; return 1; }
	after=$((SECONDS - began))
	[ "$shape" = "$(node_state)" ] || {
		detail="something is doubled or missing: $(diff <(echo "$shape") <(node_state) | tr '\n' ' ')"
		return 1
	}
	detail="wireguard-go lived on, the guard dropped the 20 packets that came out of it; the session was"
	detail="$detail back after $after s, nothing doubled"
}

kernel_state() # HOST
{
	on "$1" nft list ruleset
	on "$1" ip rule
	on "$1" ip -6 rule
	on "$1" ip -o link | sed 's/^[0-9]*: //' | sort
	on "$1" ip route show table all
	on "$1" sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.ipv4.conf.all.rp_filter \
		net.netfilter.nf_conntrack_acct
	on "$1" cat /etc/resolv.conf
}

check_client_leaves_nothing()
{
	higgs_disconnect
	kernel_state client >"$lab_dir/client.after"
	cmp -s "$lab_dir/client.before" "$lab_dir/client.after" || {
		detail="changed: $(diff "$lab_dir/client.before" "$lab_dir/client.after" | head -5 | tr '\n' ' ')"
		return 1
	}
	detail="rules, routes, links and resolv.conf of the client are as before"
}

check_node_leaves_nothing()
{
	stop injector
	stop forwarder
	stop agent
	kernel_state node >"$lab_dir/node.after"
	cmp -s "$lab_dir/node.before" "$lab_dir/node.after" || {
		detail="changed: $(diff "$lab_dir/node.before" "$lab_dir/node.after" | head -5 | tr '\n' ' ')"
		return 1
	}
	detail="nft ruleset, ip rule, ip link and sysctls of the node are as before"
}

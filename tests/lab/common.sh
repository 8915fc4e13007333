# What the labs of this folder share: arguments, what a lab needs, the lab of deploy/demo with its end, checks,
# a stock app, pings. Sourced from the repository's root; sets $bin and $detail, expects $lab_name.

bin="" keep=no only=. tcp=no failed=0

# One of the arguments that all labs take; $taken says how many words it was.
common_argument() # NAME [VALUE]
{
	taken=1
	case $1 in
	--bin) bin=${2:?--bin needs a folder}; taken=2 ;;
	--keep) keep=yes ;;
	--only) only=${2:?--only needs a pattern}; taken=2 ;;
	*) echo "$lab_name: unknown argument $1" >&2; exit 64 ;;
	esac
}

cannot()
{
	echo "$lab_name: skipped: $1" >&2
	exit 77
}

lab_needs() # PROGRAM...
{
	local program
	[ "$(id -u)" = 0 ] || cannot "needs root, for network namespaces and nftables"
	[ -c /dev/net/tun ] || cannot "/dev/net/tun is missing"
	for program; do
		[ -n "$(type -P "$program")" ] || cannot "$program is missing"
	done
	ip netns add "${lab_name}try$$" 2>/dev/null || cannot "network namespaces are not allowed here"
	ip netns delete "${lab_name}try$$"
}

# Whatever happens from here on, nothing is left, unless --keep says so. leave: a function of the lab's own.
lab_begin() # PREFIX
{
	. deploy/demo/lab.sh
	. deploy/demo/programs.sh
	lab_init "$1$$" "$(mktemp -d "/tmp/boson-$lab_name-lab.XXXXXX")"
	trap 'finish $?' EXIT
	trap 'finish 130' INT TERM
}

finish()
{
	trap - EXIT
	trap '' INT TERM
	if [ $keep = yes ]; then
		echo "left up: ip netns exec $lab-client bash; $lab_dir"
	else
		[ "${1:-0}" = 0 ] || tail -n 15 "$lab_dir"/log/*.log >&2
		leave 2>/dev/null
		lab_down
		rm -f /var/run/wireguard/hu?$$.sock
	fi
	exit "${1:-0}"
}

check() # NAME COMMAND...
{
	local name=$1
	shift
	[[ $name =~ $only ]] || return 0
	detail=""
	if "$@"; then
		echo "  ok    $name${detail:+: $detail}"
	else
		echo "  FAIL  $name${detail:+: $detail}"
		failed=1
	fi
}

# ---- hosts ----

# Behind the client's NAT, in a network of its own.
more_clients() # HOST...
{
	local host number=78
	for host; do
		link_hosts clientgw "lan$((number - 76))" "$host" eth0
		address clientgw "lan$((number - 76))" "192.168.$number.1/24"
		address "$host" eth0 "192.168.$number.2/24"
		default_route "$host" "192.168.$number.1"
		number=$((number + 1))
	done
}

install_keys()
{
	install -m 0600 "$lab_dir/boson/gateway/client.key" "$lab_dir/etc/client.key"
	install -m 0600 "$lab_dir/boson/gateway/node.key" "$lab_dir/etc/node.key"
}

is_healthy()
{
	on client curl -sf --max-time 2 --cacert "$lab_dir/etc/ca.pem" \
		https://boson.test:8443/api/v1/health -o /dev/null
}

# What only the operator may see.
rest_admin() # PATH
{
	on client curl -sS --max-time 10 --cacert "$lab_dir/etc/ca.pem" \
		-H "Authorization: Bearer $(cat "$lab_dir/boson/gateway/admin.key")" "https://boson.test:8443/api/v1$1"
}

# By what stands in $lab_dir/etc.
start_server_and_node()
{
	start_boson
	wait_for 30 is_healthy || return 1
	install_keys
	start_agent
	start_forwarder higgs
}

# ---- stock apps ----

config() # NAME COUNTRY
{
	on client "$bin/higgs" config --server https://boson.test:8443 --ca "$lab_dir/etc/ca.pem" \
		--key-file "$lab_dir/etc/client.key" --country "$2" --output "$lab_dir/etc/hu$1$$.conf" \
		2>>"$lab_dir/log/higgs.log"
}

# What a stock app does with a .conf: an interface, addresses, and the network behind it.
app_up() # HOST NAME
{
	local interface=hu$2$$ file=$lab_dir/etc/hu$2$$.conf one
	start "$1" "wg-$2" env LOG_LEVEL=error wireguard-go -f "$interface"
	wait_for 10 test -S "/var/run/wireguard/$interface.sock" || return 1
	on "$1" wg setconf "$interface" <(wg-quick strip "$file") || return 1
	for one in $(sed -n 's/^Address = //p' "$file" | tr -d ,); do
		on "$1" ip address add "$one" dev "$interface" 2>/dev/null
	done
	on "$1" ip link set "$interface" mtu "$(sed -n 's/^MTU = //p' "$file")" up &&
	on "$1" ip route add 198.51.100.0/24 dev "$interface"
}

reaches_inet() # HOST
{
	on "$1" curl -sf --max-time 5 http://198.51.100.80/whoami
}

# ---- pings: datagrams say how long nothing passed ----

pings() # HOST COUNT LOG [SECONDS-BETWEEN]
{
	on "$1" ping -D -n -i "${4:-0.05}" -c "$2" -W 1 198.51.100.80 >"$3" 2>&1
}

start_pings() # HOST
{
	: >"$lab_dir/log/pings-$1.log"
	start "$1" "pings-$1" ping -D -n -i 0.05 -W 1 198.51.100.80
}

stop_pings() # HOST
{
	stop "pings-$1" INT
}

passes()
{
	on client ping -n -c 1 -W 1 198.51.100.80
}

# The longest time between two answers, in ms.
longest_gap() # LOG
{
	awk -F'[][]' '/bytes from/ { if (last && $2 - last > gap) gap = $2 - last; last = $2 }
		END { if (!last) exit 1; printf "%d", gap * 1000 }' "$1"
}

gap_of_pings() # HOST
{
	stop_pings "$1"
	longest_gap "$lab_dir/log/pings-$1.log"
}

lost() # LOG: in hundredths of a percent
{
	awk '/packets transmitted/ { sent = $1; got = $4 } END { printf "%d", (sent - got) * 10000 / sent }' "$1"
}

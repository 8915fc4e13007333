# Several relays on one host (ports 443, 444, ... of 203.0.113.10), each with its leg's and its mailbox's address, and
# their figures on admin addresses of their own. Sourced by labs after common.sh.

# The first is the one that boson.conf describes; the others differ in name, port and mailbox.
start_relay() # NUMBER
{
	local n=$1 state=$lab_dir/relay$1
	mkdir -p "$state"
	[ -e "$state/keys" ] || ln -s "$lab_dir/boson/keys" "$state/keys"
	start server "relay$n" env "BOSON_SERVICE_STATE=$state" "BOSON_RELAY_ID=relay-$n" \
		"BOSON_RELAY_LISTEN=203.0.113.10:$((442 + n))" \
		"BOSON_RELAY_PUBLIC_URL=wss://boson.test:$((442 + n))" \
		"BOSON_BUS_RELAY=ipc://$lab_dir/boson-run/relay$n.sock" "BOSON_ADMIN_RELAY=127.0.0.1:$((9910 + n))" \
		"BOSON_RELAY_UDP_LISTEN=203.0.113.10:$((51819 + n))" \
		BOSON_RELAY_DRAIN=8s "$bin/boson-relay" -c "$lab_dir/etc/boson.conf"
}

call_relay() # NUMBER METHOD
{
	on server env "BOSON_BUS_RELAY=ipc://$lab_dir/boson-run/relay$1.sock" \
		"$bin/bosonctl" -c "$lab_dir/etc/boson.conf" call relay "$2"
}

# From where any release tells it.
relay_figure() # NUMBER NAME
{
	on server curl -sf --max-time 2 "http://127.0.0.1:$((9910 + $1))/metrics" |
		awk -v name="boson_relay_$2" '$1 == name { print $2; found = 1 } END { if (!found) print 0 }'
}

# The relay that has a leg of this role; 0: none.
relay_of() # node|client
{
	local n
	for n in 1 2 3; do
		is_running "relay$n" && [ "$(relay_figure $n "legs{role=\"$1\"}")" = 1 ] &&
			{ echo $n; return; }
	done
	echo 0
}

has_leg() # ROLE
{
	[ "$(relay_of "$1")" != 0 ]
}

relay_listens() # NUMBER
{
	on server bash -c "exec 3<>/dev/tcp/203.0.113.10/$((442 + $1))"
}

restart_relay() # NUMBER
{
	start_relay "$1"
	wait_for 20 relay_listens "$1"
}

knows_relays() # HOW MANY
{
	[ "$(rest_admin /relays | jq '.relays | length')" = "$1" ]
}

# By what stands in $lab_dir/etc; the relays wait for the keys by which they know tickets.
start_server_with_relays() # HOW MANY
{
	local service n
	for service in gateway discovery routing metrics turn; do
		start_service $service
	done
	wait_for 20 test -e "$lab_dir/boson/keys/ticket-session.pub" || return 1
	for ((n = 1; n <= $1; n++)); do
		start_relay $n
	done
	wait_for 30 is_healthy && wait_for 30 knows_relays "$1"
}

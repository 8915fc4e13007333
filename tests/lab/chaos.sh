#!/usr/bin/env bash
# Every 2 to 10 s one of the processes of BosonServer and HiggsNode is killed by SIGKILL and started again, while a
# client's packets go through all of them (F08), in the lab of deploy/demo/lab.sh. Afterwards everything is as it was:
# the session, legs, peers, rules, listeners, processes (F50), and what each process holds (F49, a short form).
#
#   chaos.sh --bin DIR [--minutes N] [--stop SECONDS] [--seed N] [--keep]
#                                                           exit status 0 held, 1 did not, 77 cannot be tried here
#
# N is 0.5 by default, after a round in which each is killed once. The same seed kills in the same order. With --stop each
# is also stopped for so long by SIGSTOP, one after the other (F09, which says 60).
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1

lab_name=chaos body=processes minutes=0.5 stopped=0 seed=$$
. tests/lab/common.sh
while [ $# -gt 0 ]; do
	case $1 in
	--minutes) minutes=${2:?--minutes needs a number}; shift 2 ;;
	--stop) stopped=${2:?--stop needs seconds}; shift 2 ;;
	--seed) seed=${2:?--seed needs a number}; shift 2 ;;
	*) common_argument "$@"; shift $taken ;;
	esac
done
seconds=$(awk -v minutes="$minutes" 'BEGIN { if (minutes + 0 <= 0) exit 1; printf "%d", minutes * 60 }') ||
	{ echo "chaos: --minutes $minutes" >&2; exit 64; }
lab_needs wireguard-go wg wg-quick nft conntrack nginx jq curl openssl ss
leave() { higgs_disconnect; }
lab_begin hx
RANDOM=$seed

# Packets pass through the last two, which is why a kill of theirs may be felt (F04, F07).
control="gateway discovery routing metrics turn agent"
carriers="relay forwarder"
STOPPED_BACK_MS=5000 CARRIER_BACK_MS=10000 # WireGuard tries every 5 s
RELAY_GAP_MS=15000 FORWARDER_GAP_MS=10000 GAP_MS=1000 GROWTH_PERCENT=5 GROWTH_KB=1024

has_legs()
{
	has_node_leg && [ "$(relay_counter '^legs.*"client"')" = "$1" ]
}

start_one() # NAME
{
	case $1 in
	agent) start_agent ;;
	forwarder) start_forwarder higgs ;;
	*) start_service "$1" ;;
	esac
}

# The forwarder's own wireguard-go, which is to die with it (F50).
write_plain_wireguard()
{
	printf '#!/bin/sh\nexec wireguard-go "$@"\n' >"$lab_dir/etc/wireguard-that-survives"
	chmod 0755 "$lab_dir/etc/wireguard-that-survives"
}

start_everything()
{
	write_boson_config && write_plain_wireguard && write_higgs_config higgs on ca.pem || return 1
	start_inet
	start_server_and_node || return 1
	wait_for 30 has_legs 0
}

# ---- what there is ----

# One line each of what must be the same afterwards.
things()
{
	local host
	for host in node client; do
		on $host nft list tables | sed "s/^/$host nft /"
		on $host ip rule | sed "s/^/$host rule /"
		on $host ip -o link | sed "s/^[0-9]*: \([^:@]*\).*/$host link \1/"
		on $host ip route show table all | grep -v -e '^local' -e '^broadcast' -e linkdown | sed "s/^/$host route /"
	done
	for host in server node client; do
		on $host ss -Hltn | awk -v host=$host '{ print host, "listens", $4 }'
		ps -o comm= -p "$(ip netns pids "$lab-$host" | tr '\n' ',' | sed 's/,$//')" | grep -v -x -e ping -e curl |
			sed "s/^/$host runs /"
	done
	echo "node peers $(on node wg show "$node_interface" peers | wc -l)"
	echo "relay $(relay_counter '^channels$') channels, legs of clients $(relay_counter '^legs.*"client"')"
	echo "routing $(rest_admin /clients | jq '[.clients[] | select(.status != "closed")] | length') sessions"
	echo "discovery $(bus discovery ListRelays | jq '.relays | length') relays, nodes online" \
		"$(rest_admin /nodes | jq '[.nodes[] | select(.status == "online")] | length')"
}

# NAME RSS_KB FDS THREADS, of each process of ours.
holdings()
{
	local name pid
	for name in $control $carriers higgs; do
		pid=$([ $name = higgs ] && higgs_pid || pid_of $name)
		echo "$name $(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status") $(ls "/proc/$pid/fd" | wc -l)" \
			"$(awk '/^Threads/ { print $2 }' "/proc/$pid/status")"
	done
}

higgs_pid()
{
	local pid
	for pid in $(ip netns pids "$lab-client"); do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != higgs ] || { echo "$pid"; return; }
	done
}

# ---- the killing ----

kill_one() # NAME
{
	echo "$(date +%s.%N) $1" >>"$lab_dir/log/kills"
	stop "$1" KILL
	start_one "$1"
}

# Only with packets passing is a carrier killed: so each pause has one cause.
kill_random()
{
	local names=($control $carriers) name
	name=${names[RANDOM % ${#names[@]}]}
	case " $carriers " in
	*" $name "*) wait_for 30 passes || return 1 ;;
	esac
	kill_one "$name"
	sleep $((2 + RANDOM % 9))
}

is_whole()
{
	is_healthy && has_legs 1 && passes &&
		[ "$(rest_admin /nodes | jq '[.nodes[] | select(.status == "online")] | length')" = 1 ]
}

# ---- checks ----

check_connect()
{
	higgs_connect || { detail=$(tail -1 "$lab_dir/log/higgs.log"); return 1; }
	session=$(higgs_status | jq -r .sessionId)
	reaches_inet client >/dev/null
}

check_each_once()
{
	local name
	start_pings client
	for name in $control $carriers; do
		kill_one $name
		wait_for 30 is_whole || { detail="$name was killed, and all is not well after 30 s"; return 1; }
	done
	sleep 5 # announcements, reports
	things | sort >"$lab_dir/things.before"
	holdings >"$lab_dir/holdings.before"
	detail="$(echo $control $carriers | wc -w) processes"
}

check_random()
{
	local end=$((SECONDS + seconds))
	while [ $SECONDS -lt $end ]; do
		kill_random || { detail="nothing passes after $(tail -1 "$lab_dir/log/kills")"; return 1; }
	done
	wait_for 30 is_whole || { detail="all is not well 30 s after the last kill"; return 1; }
	sleep 5
	detail="$(wc -l <"$lab_dir/log/kills") kills in all, seed $seed"
}

# Whoever was stopped is as before a few seconds later, and who carries no packets is missed by none.
stop_for_a_while() # NAME LONGEST-RETURN-MS
{
	local pid began gap
	pid=$(pid_of "$1")
	start_pings client
	wait_for 5 grep -q 'bytes from' "$lab_dir/log/pings-client.log"
	kill -STOP "$pid" && sleep "$stopped" && kill -CONT "$pid"
	began=${EPOCHREALTIME/./}
	wait_for 40 is_whole || { detail+=" $1: all is not well after 40 s"; return 1; }
	began=$(((${EPOCHREALTIME/./} - began) / 1000))
	gap=$(gap_of_pings client) || { detail+=" $1: no pings"; return 1; }
	detail+=" $1 back in $began ms, nothing passed for $gap;"
	[ $began -le "$2" ] && { [[ " $carriers " = *" $1 "* ]] || [ "$gap" -le $GAP_MS ]; }
}

check_stopped()
{
	local name result=0
	for name in $control; do
		stop_for_a_while $name $STOPPED_BACK_MS || result=1
	done
	for name in $carriers; do
		stop_for_a_while $name $CARRIER_BACK_MS || result=1
	done
	return $result
}

# Pauses of the pings that are longer than a second: "ms cause", the cause being what was killed last of what
# carries packets. A control service is never one.
pauses()
{
	awk 'NR == FNR { if ($2 == "relay" || $2 == "forwarder") { at[++n] = $1; who[n] = $2 } next }
		/bytes from/ {
			now = substr($1, 2) + 0
			if (last && (now - last) * 1000 > '$GAP_MS') {
				cause = "nobody"
				for (i = 1; i <= n; i++)
					if (at[i] > last - 1 && at[i] < now) cause = who[i]
				printf "%d %s\n", (now - last) * 1000, cause
			}
			last = now
		}' "$lab_dir/log/kills" "$lab_dir/log/pings-client.log"
}

check_pauses()
{
	local long
	stop_pings client
	pauses >"$lab_dir/pauses"
	detail="the longest of $(longest_gap "$lab_dir/log/pings-client.log") ms" || { detail="no pings"; return 1; }
	detail+=", of more than $GAP_MS ms: $(sort -rn "$lab_dir/pauses" | tr '\n' ';')"
	long=$(awk -v relay=$RELAY_GAP_MS -v forwarder=$FORWARDER_GAP_MS \
		'$2 == "nobody" || $2 == "relay" && $1 > relay || $2 == "forwarder" && $1 > forwarder' "$lab_dir/pauses")
	[ -z "$long" ] || { detail+="; too long: $(echo $long)"; return 1; }
}

check_session()
{
	detail="session $session"
	[ "$(higgs_status | jq -r .sessionId)" = "$session" ] || { detail+=" is another one now"; return 1; }
	on client curl -sf --max-time 30 -o "$lab_dir/small.bin" http://198.51.100.80/small.bin &&
	cmp -s "$lab_dir/small.bin" "$lab_dir/www/small.bin"
}

check_things()
{
	things | sort >"$lab_dir/things.after"
	detail=$(diff "$lab_dir/things.before" "$lab_dir/things.after" | grep '^[<>]' | tr '\n' ';') ||
		{ detail="$(wc -l <"$lab_dir/things.after") things are as before"; return 0; }
	return 1
}

# Each within 5 %, and what is less than a mebibyte or two descriptors is no growth. AddressSanitizer keeps what was
# freed, 256 MiB of it: there memory says nothing.
check_holdings()
{
	local kb=$GROWTH_KB
	! ldd "$bin/higgs" | grep -q libasan || kb=$((256 * 1024))
	holdings >"$lab_dir/holdings.after"
	detail=$(paste -d ' ' "$lab_dir/holdings.before" "$lab_dir/holdings.after" | awk -v percent=$GROWTH_PERCENT -v kb=$kb '
		function grew(before, after, least) { return after - before > least && after > before * (1 + percent / 100) }
		{ printf "%s%s %d>%d kB %d>%d fds %d>%d threads", (NR > 1 ? ", " : ""), $1, $2, $6, $3, $7, $4, $8 }
		grew($2, $6, kb) || grew($3, $7, 2) || $8 > $4 || NF != 8 { bad = 1; printf " (grew)" }
		END { exit bad }')
}

# F50: nobody is told anything, and no child outlives its parent.
check_orphans()
{
	local host pids
	for host in agent forwarder $control relay; do
		stop "$host" KILL
	done
	pids=$(higgs_pid) && kill -KILL "$pids"
	wait_for 5 is_deserted || { detail="left: $(left_over)"; return 1; }
}

left_over()
{
	local host
	for host in server node client; do
		ps -o comm= -p "$(ip netns pids "$lab-$host" | tr '\n' ',' | sed 's/,$//')" 2>/dev/null
		on $host ss -Hltn
	done | grep -v -x -e ping -e bash
}

is_deserted()
{
	[ -z "$(left_over)" ]
}

echo "Making a lab of $(echo $lab_hosts | wc -w) hosts; seed $seed ..."
lab_up || exit 1
make_certificates >"$lab_dir/log/openssl.log" 2>&1 || exit 1
start_everything || { echo "chaos: the lab does not come up" >&2; exit 1; }
check "higgs connect" check_connect
[ "$stopped" = 0 ] || check "F09: each is stopped for $stopped s, and all is well soon after" check_stopped
check "F08: each process is killed once, and all is well within 30 s" check_each_once
check "F08: one of them is killed every 2 to 10 s, for $seconds s" check_random
check "F01-F07: packets pause for a killed relay or forwarder alone, and not for long" check_pauses
check "F08: the session is the same, and passes data" check_session
check "F08: rules, links, listeners, processes, legs and sessions are as before" check_things
check "F08, F49: descriptors, threads and memory are as before" check_holdings
check "F50: all are killed, and no child or listener is left" check_orphans
exit $failed

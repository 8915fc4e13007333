# Configures and starts BosonServer, HiggsNode and the client in the lab. Sourced by deploy/demo/run.
# Expects $bin (the folder of the built programs), $body (bosond or processes) and $tcp (yes or no).

services="gateway discovery routing relay metrics turn"

make_certificates()
{
	local etc=$lab_dir/etc
	openssl ecparam -name prime256v1 -genkey -noout -out "$etc/ca.key" &&
	openssl req -x509 -new -key "$etc/ca.key" -days 2 -subj "/CN=Lab CA" -out "$etc/ca.pem" \
		-addext basicConstraints=critical,CA:TRUE &&
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
		-subj "/CN=Another CA" -keyout "$etc/other-ca.key" -out "$etc/other-ca.pem" &&
	openssl ecparam -name prime256v1 -genkey -noout -out "$etc/server.key" &&
	openssl req -new -key "$etc/server.key" -subj "/CN=boson.test" -out "$etc/server.csr" &&
	printf 'subjectAltName=DNS:boson.test\nextendedKeyUsage=serverAuth\n' >"$etc/server.ext" &&
	openssl x509 -req -in "$etc/server.csr" -CA "$etc/ca.pem" -CAkey "$etc/ca.key" -days 2 \
		-extfile "$etc/server.ext" -out "$etc/server.pem" || return 1
	chmod 0600 "$etc"/*.key
}

# Mailboxes: by default sockets in the run folder; the relay's is one in bosond too, so that bosonctl
# reaches it. With --tcp as on several hosts: addresses, a key pair for each service, one allow-list.
bus_lines()
{
	local service port=7000
	if [ $tcp = no ]; then
		echo "relay = ipc://$lab_dir/boson-run/relay.sock"
		return
	fi
	for service in $services; do
		echo "$service = tcp://203.0.113.10:$port"
		port=$((port + 10))
	done
	echo "curve_allow = $lab_dir/etc/keys/allow"
	sed 1d "$lab_dir/etc/keys/bus.conf"
}

# The part of boson.conf that differs from host to host, in the environment.
as_service() # NAME COMMAND...
{
	local name=$1
	shift
	if [ $tcp = no ]; then
		"$@"
	else
		BOSON_BUS_CURVE_SECRET=$lab_dir/etc/keys/$name.secret "$@"
	fi
}

write_boson_config()
{
	[ $tcp = no ] || "$bin/bosonctl" keys "$lab_dir/etc/keys" >/dev/null || return 1
	cat >"$lab_dir/etc/boson.conf" <<-C
		[service]
		state = $lab_dir/boson
		run = $lab_dir/boson-run

		[bus]
		$(bus_lines)

		[gateway]
		listen = 203.0.113.10:8443
		certificate = $lab_dir/etc/server.pem
		private_key = $lab_dir/etc/server.key

		[relay]
		listen = 203.0.113.10:443
		public_url = wss://boson.test
		certificate = $lab_dir/etc/server.pem
		private_key = $lab_dir/etc/server.key
	C
}

write_higgs_config() # NAME POLICY CA
{
	cat >"$lab_dir/etc/$1.conf" <<-C
		[service]
		state = $lab_dir/higgs
		run = $lab_dir/higgs-run

		[agent]
		server = https://boson.test:8443
		ca_file = $lab_dir/etc/ca.pem
		access_key_file = $lab_dir/etc/node.key
		country = CH

		[forwarder]
		interface = $node_interface
		ca_file = $lab_dir/etc/$3
		policy = $2
		exit_allow = 198.51.100.0/24, 2001:db8:80::/64
		identity_key = $lab_dir/higgs/agent/identity.key
		wireguard_command = $lab_dir/etc/wireguard-that-survives
	C
}

# The parent-death signal does not reach a grandchild: this is how wireguard-go outlives a killed
# forwarder, which is the case that the guard table is for.
write_wireguard_wrapper()
{
	cat >"$lab_dir/etc/wireguard-that-survives" <<-'C'
		#!/bin/sh
		wireguard-go "$@" &
		child=$!
		trap 'kill $child' TERM INT
		wait $child
	C
	chmod 0755 "$lab_dir/etc/wireguard-that-survives"
}

start_boson()
{
	local service
	if [ "$body" = bosond ]; then
		start server bosond "$bin/bosond" -c "$lab_dir/etc/boson.conf"
		return
	fi
	for service in $services; do
		start_service "$service"
	done
}

start_service() # NAME
{
	as_service "$1" start server "$1" "$bin/boson-$1" -c "$lab_dir/etc/boson.conf"
}

start_forwarder() # CONFIG
{
	start node forwarder "$bin/higgs-forwarder" -c "$lab_dir/etc/$1.conf"
}

start_agent()
{
	start node agent "$bin/higgs-agent" -c "$lab_dir/etc/higgs.conf"
}

start_inet()
{
	mkdir -p "$lab_dir/www"
	head -c 100000000 /dev/urandom >"$lab_dir/www/file.bin"
	head -c 2000 /dev/urandom >"$lab_dir/www/small.bin"
	cat >"$lab_dir/etc/nginx.conf" <<-C
		daemon off; worker_processes 1; pid $lab_dir/nginx.pid; error_log stderr;
		events { worker_connections 1024; }
		http {
			access_log $lab_dir/log/access.log;
			client_body_temp_path $lab_dir/nginx-body; client_max_body_size 200m;
			proxy_temp_path $lab_dir/nginx-p; fastcgi_temp_path $lab_dir/nginx-f;
			uwsgi_temp_path $lab_dir/nginx-u; scgi_temp_path $lab_dir/nginx-s;
			server {
				listen 198.51.100.80:80; listen [2001:db8:80::80]:80; root $lab_dir/www;
				location /whoami { return 200 "\$remote_addr\n"; }
				location /upload { dav_methods PUT; }
			}
		}
	C
	mkdir -p "$lab_dir/www/upload"
	chmod 0755 "$lab_dir" "$lab_dir/www"
	chmod 0777 "$lab_dir/www/upload"
	start inet nginx nginx -e stderr -c "$lab_dir/etc/nginx.conf"
	start inet iperf3 iperf3 -s -B 198.51.100.80
	start inet echo socat UDP4-LISTEN:7777,fork,bind=198.51.100.80 EXEC:cat
	start inet dns dnsmasq -k -u root -C /dev/null --pid-file="$lab_dir/dns.pid" -h -R \
		--bind-interfaces --listen-address=198.51.100.53 \
		--address=/web.inet.test/198.51.100.80 --address=/web.inet.test/2001:db8:80::80
	# What counts the packets that reach `inet` on the port of the injection check.
	on inet nft -f - <<-'N'
		table inet count {
			counter injected { }
			chain input {
				type filter hook input priority 0;
				udp dport 9999 counter name injected
			}
		}
	N
}

# Machines that the tunnel must not reach, each with a server that would answer.
start_home_servers()
{
	local place answer="$lab_dir/etc/reached"
	printf '#!/bin/sh\nprintf "HTTP/1.0 200 OK\\r\\n\\r\\nreached\\n"\n' >"$answer"
	chmod 0755 "$answer"
	for place in "lan 192.168.1.20 lan" "lan 169.254.169.254 metadata" "home 192.168.1.1 router" \
		"node 192.168.1.10 node"; do
		set -- $place
		start "$1" "http-$3" socat "TCP4-LISTEN:8088,fork,reuseaddr,bind=$2" "EXEC:$answer"
	done
	start node http-tunnel socat TCP4-LISTEN:8089,fork,reuseaddr "EXEC:$answer"
}

# curl to the gateway from the client's network, with the client's access key.
rest() # METHOD PATH [BODY]
{
	on client curl -sS --max-time 10 --cacert "$lab_dir/etc/ca.pem" -X "$1" \
		-H "Authorization: Bearer $(cat "$lab_dir/boson/gateway/client.key")" \
		${3:+-H "Content-Type: application/json" --data "$3"} \
		"https://boson.test:8443/api/v1$2"
}

# A call on the bus, as the operator makes it.
bus() # SERVICE METHOD [JSON]
{
	as_service bosonctl on server "$bin/bosonctl" -c "$lab_dir/etc/boson.conf" call "$@"
}

relay_counter() # NAME
{
	bus relay GetStats | jq -r --arg name "$1" \
		'[.counters[] | select(.name | test($name)) | .value | tonumber] | add // 0'
}

has_node_leg()
{
	[ "$(relay_counter '^legs.*"node"')" = 1 ]
}

higgs_connect() # [ARGUMENT...]
{
	on client "$bin/higgs" connect --server https://boson.test:8443 --ca "$lab_dir/etc/ca.pem" \
		--key-file "$lab_dir/etc/client.key" --state "$lab_dir/client" \
		--interface "$client_interface" "$@" >>"$lab_dir/log/higgs.log" 2>&1
}

higgs_disconnect()
{
	on client "$bin/higgs" disconnect --state "$lab_dir/client" >>"$lab_dir/log/higgs.log" 2>&1
}

higgs_status()
{
	on client "$bin/higgs" status --json --state "$lab_dir/client"
}

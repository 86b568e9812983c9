#!/usr/bin/env bash
# The main job, shown on this machine: one wildcard certificate from a real ACME server onto several nodes with real nginx,
# proven; then a renewal that goes wrong on one node, and is put back everywhere.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'USAGE'
usage: tests/demo.sh [--nodes N] [--keep]
  --nodes N   how many nodes, 2 to 50 (3)
  --keep      keep the work folder and say where it is
Installs what is missing, builds, runs for less than a minute, and ends every process that it started.
USAGE
}

nodes=3
keep=no
while [ "$#" -gt 0 ]; do
  case "$1" in
    --nodes)
      nodes=${2:-}
      [ "$#" -lt 2 ] || shift
      ;;
    --nodes=*) nodes=${1#*=} ;;
    --keep) keep=yes ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
  shift
done
if ! [[ "$nodes" =~ ^[1-9][0-9]?$ ]] || [ "$nodes" -lt 2 ] || [ "$nodes" -gt 50 ]; then
  echo "demo: --nodes takes a number from 2 to 50" >&2
  exit 2
fi

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] && [ -z "${NO_COLOR:-}" ] || say() { printf '\n%s\n' "$*"; }
run() {
  echo "\$ $*"
  "$@"
}
die() {
  echo "demo: $*" >&2
  exit 1
}

tests/setup.sh
bazel_was_running=no
! pgrep -f '^bazel\(' >/dev/null || bazel_was_running=yes
echo "building certcast and certcast-node (the first time takes some minutes)"
bazel build --noshow_progress --ui_event_filters=-info //controller:certcast //node:certcast-node
bin=$(bazel info bazel-bin 2>/dev/null)
export PATH="$bin/controller:$bin/node:/usr/sbin:$PATH"

work=$(mktemp -d -t certcast-demo.XXXXXX)
# nginx's workers, which are not root, read below it.
chmod 755 "$work"
pids=()
finish() {
  local code=$?
  trap - EXIT
  # A second interrupt must not end the clean-up.
  trap '' INT TERM
  set +e
  for ((node = 1; node <= nodes; node++)); do
    [ ! -s "$work/web-$node/nginx.pid" ] || pids+=("$(cat "$work/web-$node/nginx.pid")")
  done
  for pid in "${pids[@]}"; do kill -CONT "$pid" 2>/dev/null && kill "$pid" 2>/dev/null; done
  wait 2>/dev/null
  [ "$bazel_was_running" = yes ] || bazel shutdown 2>/dev/null
  if [ "$keep" = yes ]; then
    echo "the work folder is $work"
  else
    rm -rf "$work"
  fi
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Waits until a command succeeds, at most ten seconds.
wait_for() { # what, command...
  local what=$1
  shift
  for _ in $(seq 100); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  die "$what did not come up; its output: $(tail -n 5 "$work"/*.log "$work"/*/*.log 2>/dev/null)"
}

# Ports that are free now. The nodes have addresses of their own on the loopback network, so they share theirs.
read -r acme_port acme_admin_port dns_port dns_admin_port agent_port https_port < <(python3 - <<'PYTHON'
import socket
sockets = [socket.socket() for _ in range(6)]
for s in sockets:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))
PYTHON
)
address() { echo "127.0.10.$1"; }

say "1. A real ACME server: Pebble, with a DNS server that it asks for the challenges (every validation is done)"
mkdir "$work/acme"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj "/CN=demo ACME root" \
  -addext "subjectAltName=IP:127.0.0.1" -keyout "$work/acme/key.pem" -out "$work/acme/root.pem" 2>/dev/null
cat >"$work/acme/config.json" <<JSON
{"pebble": {"listenAddress": "127.0.0.1:$acme_port", "managementListenAddress": "127.0.0.1:$acme_admin_port",
  "certificate": "$work/acme/root.pem", "privateKey": "$work/acme/key.pem",
  "httpPort": 5002, "tlsPort": 5001, "ocspResponderURL": "", "externalAccountBindingRequired": false}}
JSON
pebble-challtestsrv -dns01 "127.0.0.1:$dns_port" -management "127.0.0.1:$dns_admin_port" \
  -http01 "" -https01 "" -tlsalpn01 "" >"$work/dns.log" 2>&1 &
pids+=($!)
PEBBLE_VA_NOSLEEP=1 pebble -strict -config "$work/acme/config.json" -dnsserver "127.0.0.1:$dns_port" \
  >"$work/acme.log" 2>&1 &
pids+=($!)
wait_for "Pebble" curl -sf --cacert "$work/acme/root.pem" "https://127.0.0.1:$acme_port/dir"
# What an operator would write for the own DNS provider: present and cleanup of one TXT record.
cat >"$work/dns-hook" <<HOOK
#!/bin/sh
set -eu
case "\$1" in
  present) curl -sf -d "{\"host\":\"\$2\",\"value\":\"\$3\"}" http://127.0.0.1:$dns_admin_port/set-txt ;;
  cleanup) curl -sf -d "{\"host\":\"\$2\"}" http://127.0.0.1:$dns_admin_port/clear-txt ;;
esac
HOOK
chmod 755 "$work/dns-hook"
echo "Pebble at https://127.0.0.1:$acme_port/dir, DNS at 127.0.0.1:$dns_port"

say "2. $nodes web servers: nginx, each with an old self-signed certificate, and beside each a certcast-node"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=copied by hand" \
  -addext "subjectAltName=DNS:*.demo.test,DNS:demo.test" -keyout "$work/old-key.pem" -out "$work/old.pem" 2>/dev/null
for ((node = 1; node <= nodes; node++)); do
  home=$work/web-$node
  mkdir -p "$home/tls" "$home/tmp"
  install -m 644 "$work/old.pem" "$home/tls/fullchain.pem"
  install -m 600 "$work/old-key.pem" "$home/tls/privkey.pem"
  cat >"$home/nginx.conf" <<NGINX
pid $home/nginx.pid;
error_log $home/nginx.log;
events {}
http {
  access_log off;
  client_body_temp_path $home/tmp; proxy_temp_path $home/tmp; fastcgi_temp_path $home/tmp;
  uwsgi_temp_path $home/tmp; scgi_temp_path $home/tmp;
  server {
    listen $(address "$node"):$https_port ssl;
    server_name demo.test *.demo.test;
    ssl_certificate $home/tls/fullchain.pem;
    ssl_certificate_key $home/tls/privkey.pem;
    return 200 "web-$node\n";
  }
}
NGINX
  cat >"$home/node.yaml" <<YAML
name: web-$node
state: $home/state
listen: $(address "$node"):$agent_port
allow_names: ["*.demo.test", "demo.test"]
services:
  - name: nginx
    certificate: wildcard
    files:
      - {path: $home/tls/fullchain.pem, content: fullchain, mode: "0644"}
      - {path: $home/tls/privkey.pem, content: private_key, mode: "0600"}
    check: [nginx, -t, -q, -c, $home/nginx.conf]
    reload: [nginx, -s, reload, -c, $home/nginx.conf]
    probes:
      - tls: {address: "$(address "$node"):$https_port", server_name: www.demo.test, timeout: 5s}
      - http: {url: "https://$(address "$node"):$https_port/", host: demo.test, status: 200, timeout: 5s}
YAML
  nginx -c "$home/nginx.conf" 2>>"$home/nginx.log"
done
echo "nginx at $(address 1):$https_port to $(address "$nodes"):$https_port"

say "3. The controller's configuration, and the fleet's keys"
{
  cat <<YAML
state: $work/controller
master_key: {file: $work/master.key}
accounts:
  - name: pebble
    directory: https://127.0.0.1:$acme_port/dir
    ca_file: $work/acme/root.pem
    contact: ["mailto:ops@demo.test"]
    terms_of_service_agreed: true
certificates:
  - name: wildcard
    account: pebble
    domains: ["*.demo.test", "demo.test"]
    challenge: {type: dns-01, solver: exec, exec: {command: [$work/dns-hook]},
                propagation: {resolvers: ["127.0.0.1:$dns_port"]}}
    nodes: {role: web}
    rollout: {waves: ["1", "100%"], max_failures: 0, on_halt: revert}
nodes:
YAML
  for ((node = 1; node <= nodes; node++)); do
    echo "  - {name: web-$node, address: \"grpc://$(address "$node"):$agent_port\", labels: {role: web}," \
      "verify: [\"$(address "$node"):$https_port\"]}"
  done
} >"$work/certcast.yaml"
export CERTCAST_CONFIG=$work/certcast.yaml
run certcast init
echo "each node makes its own key; the controller signs it; the node pins the fleet:"
echo '$ certcast-node csr | certcast nodes sign web-1 | certcast-node accept'
for ((node = 1; node <= nodes; node++)); do
  agent=(certcast-node --config "$work/web-$node/node.yaml")
  "${agent[@]}" csr | certcast nodes sign "web-$node" 2>/dev/null | "${agent[@]}" accept
  "${agent[@]}" run >"$work/web-$node/agent.log" 2>&1 &
  pids+=($!)
done
for ((node = 1; node <= nodes; node++)); do
  wait_for "the agent of web-$node" grep -q "^listening" "$work/web-$node/agent.log"
done

# What a stranger's client is shown.
served() { # node
  openssl s_client -connect "$(address "$1"):$https_port" -servername www.demo.test </dev/null 2>/dev/null |
    openssl x509 -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f
}
show_served() {
  for ((node = 1; node <= nodes; node++)); do echo "  web-$node serves $(served "$node")"; done
}
expect_all() { # fingerprint
  for ((node = 1; node <= nodes; node++)); do
    [ "$(served "$node")" = "$1" ] || die "web-$node serves $(served "$node"), not $1"
  done
}
workers() { for ((node = 1; node <= nodes; node++)); do pgrep -P "$(cat "$work/web-$node/nginx.pid")"; done; }

say "4. The main job: certcast apply"
run certcast apply
first=$(certcast certificates wildcard -o json |
  python3 -c 'import json,sys; print(json.load(sys.stdin)["certificates"][0]["leafSha256"])')
echo "as openssl s_client sees them:"
show_served
expect_all "$first"
run certcast status
run certcast verify

say "5. Again: nothing to do, no reload"
before=$(workers)
run certcast apply
[ "$before" = "$(workers)" ] || die "a second apply reloaded nginx"
echo "exit code 0, and every nginx worker is the one it was"

say "6. A forced renewal while one nginx is broken: its reload says yes, and the old certificate goes on being served"
broken=$({ certcast apply --dry-run --force-renewal -o json || [ $? = 5 ]; } |
  python3 -c 'import json,sys; r=json.load(sys.stdin)["rollouts"][0]; print([n["name"] for n in r["nodes"] if n["wave"] == len(r["waves"])][-1])')
kill -STOP "$(cat "$work/$broken/nginx.pid")"
echo "the nginx master of $broken is stopped (SIGSTOP); its workers go on serving"
code=0
run certcast apply --force-renewal || code=$?
[ "$code" = 4 ] || die "the exit code was $code, not 4"
kill -CONT "$(cat "$work/$broken/nginx.pid")"
echo "exit code 4: $broken went back, the rollout was halted, and the others went back too:"
show_served
expect_all "$first"

say "7. $broken is mended: apply tries the same generation again, without ordering another"
run certcast apply
second=$(certcast certificates wildcard -o json |
  python3 -c 'import json,sys; print(json.load(sys.stdin)["certificates"][0]["leafSha256"])')
[ "$first" != "$second" ] || die "the second certificate is the first"
show_served
expect_all "$second"

say "done: $nodes of $nodes serve $second"

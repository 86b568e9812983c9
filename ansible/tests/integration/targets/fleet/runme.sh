#!/usr/bin/env bash
# A fleet in a network of its own on this machine: hosts with systemd, sshd and nginx, a real ACME server, and every playbook and
# module of the collection on them. web-1, web-2 and, later, web-4 have agents; the controller logs in to web-3.
set -eu -o pipefail

if [ "${1:-}" != inside ]; then
    exec unshare --net "$0" inside "$@"
fi
shift
ip link set lo up
options=("$@")

work=$OUTPUT_DIR/fleet
export WORK=$work ANSIBLE_CALLBACK_RESULT_FORMAT=yaml ANSIBLE_PIPELINING=true
mkdir -p "$work/acme" "$work/public"
pids=()
finish() {
    local code=$?
    trap - EXIT
    # Who reads the output may be gone.
    trap '' PIPE
    set +e
    [ "$code" = 0 ] || tail -n 20 "$work"/*.log
    for host in control web-1 web-2 web-3 web-4; do ./machine.sh stop "$work" "$host"; done
    [ "${#pids[@]}" = 0 ] || kill "${pids[@]}"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

# --- What is there before certcast: keys for logins, hosts, a real ACME server, certificates of another CA.
key() { # file, arguments of openssl
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$@" 2>>"$work/openssl.log"
}
ssh-keygen -q -t ed25519 -N "" -f "$work/key"
ssh-keygen -q -t ed25519 -N "" -f "$work/host_key"
cat >"$work/ssh_config" <<SSH
IdentityFile $work/key
IdentitiesOnly yes
UserKnownHostsFile $work/known_hosts
GlobalKnownHostsFile /dev/null
SSH
export ANSIBLE_SSH_ARGS="-F $work/ssh_config -o ControlMaster=auto -o ControlPersist=60s"
start() { # name, address
    ./machine.sh start "$work" "$1" "$2"
    echo "$2 $(cut -d' ' -f1,2 "$work/host_key.pub")" >>"$work/known_hosts"
}
start control 127.0.61.10
for i in 1 2 3 4; do start "web-$i" "127.0.61.$i"; done

key "$work/acme/key.pem" -x509 -days 2 -subj "/CN=ACME root" -addext subjectAltName=IP:127.0.61.20 -out "$work/acme/root.pem"
cat >"$work/acme/config.json" <<JSON
{"pebble": {"listenAddress": "127.0.61.20:14000", "managementListenAddress": "127.0.61.20:15000", "httpPort": 5002, "tlsPort": 5001,
  "certificate": "$work/acme/root.pem", "privateKey": "$work/acme/key.pem"}}
JSON
pebble-challtestsrv -dns01 127.0.61.20:8053 -management 127.0.61.20:8055 -http01 "" -https01 "" -tlsalpn01 "" >"$work/dns.log" 2>&1 &
pids+=($!)
PEBBLE_VA_NOSLEEP=1 pebble -strict -config "$work/acme/config.json" -dnsserver 127.0.61.20:8053 >"$work/acme.log" 2>&1 &
pids+=($!)

key "$work/public/key.pem" -x509 -days 30 -subj "/CN=public CA" -out "$work/public/root.pem"
printf 'subjectAltName=DNS:*.example.com\nbasicConstraints=critical,CA:FALSE\n' >"$work/public/extensions"
for i in 1 2 3; do
    mkdir "$work/public/$i"
    key "$work/public/$i/privkey.pem" -subj /CN=web -out "$work/public/$i/csr.pem"
    openssl x509 -req -in "$work/public/$i/csr.pem" -CA "$work/public/root.pem" -CAkey "$work/public/key.pem" -set_serial "$i" \
        -days 20 -extfile "$work/public/extensions" -out "$work/public/$i/fullchain.pem" 2>>"$work/openssl.log"
done

# --- The steps.
inventories=(-i inventory)
play() { # playbook, arguments: its output is shown, and kept in $work/play
    echo "== ${SECONDS}s ansible-playbook $*"
    ansible-playbook "${inventories[@]}" -e @../../integration_config.yml "$@" "${options[@]}" | tee "$work/play"
}
fail() {
    echo "fleet: $*" >&2
    exit 1
}
expect_same() { # of the last play: nothing changed
    ! grep -E 'changed=[1-9]' "$work/play" || fail "a second run changed something"
}
on() { # host, command
    local host=$1
    shift
    ssh -F "$work/ssh_config" "deploy@127.0.61.$host" "$@"
}

play servers.yml -i more_hosts.yml
cp -r "${ANSIBLE_COLLECTIONS_PATH%%:*}/ansible_collections/certcast/fleet/playbooks/moving" "$work/moving"
mkdir -p "$work/moving/files"
cp -r "$work/public/1" "$work/moving/files/wildcard"
play "$work/moving/before.yml"
play "$work/moving/before.yml" --limit web-1
expect_same

play certcast.fleet.first_rollout -e certcast_certificate=api --check
grep -E '^web-1 .*changed=[1-9]' "$work/play"
on 1 'test ! -e /etc/certcast && test ! -e /usr/local/sbin/certcast-node && ! sudo systemctl cat certcast-node 2>/dev/null' ||
    fail "check mode changed something"
on 10 'test ! -e /etc/certcast && ! getent passwd certcast' || fail "check mode changed something"
play certcast.fleet.first_rollout -e certcast_certificate=api
# Lines of waves, from the action plugin, before the task has ended.
grep "  api: wave 1/2: 1/1" "$work/play"
play certcast.fleet.first_rollout -e certcast_certificate=api
expect_same

play "$work/moving/after.yml" --check
play "$work/moving/after.yml"
play "$work/moving/after.yml"
expect_same

play modules.yml

play certcast.fleet.monthly_apply -e node_renew_before=31 --check
grep -E '^web-2 .*changed=2' "$work/play"
# As Ansible does it where nothing is said of pipelining.
ANSIBLE_PIPELINING=false play certcast.fleet.monthly_apply -e node_renew_before=31
grep -E '^web-2 .*changed=3' "$work/play"
play certcast.fleet.monthly_apply
expect_same

inventories+=(-i more_hosts.yml)
play certcast.fleet.add_host -e '{"certcast_new": ["web-4"]}'
grep -E '^web-4 .*changed=[1-9]' "$work/play"
grep "  api: wave 1/1: 1/1" "$work/play"
play certcast.fleet.add_host -e '{"certcast_new": ["web-4"]}'
expect_same

# A configuration that is wrong does not take the place of one that works.
if play certcast.fleet.add_host -e '{"controller_config": {"state": "/var/lib/certcast", "nonsense": 1}}'; then
    fail "a wrong configuration was taken"
fi
grep 'unknown key .*nonsense' "$work/play"
on 10 'sudo grep -q pebble /etc/certcast/certcast.yaml && ! sudo ls -A /etc/certcast | grep new$'

play certcast.fleet.emergency_replace -e certcast_certificate=api --diff
grep "  api: revoking generation 1 (keyCompromise)" "$work/play"
[ "$(grep -cE '^[-+]web-[124] api: sha256 [0-9a-f]{64}, notAfter 20' "$work/play")" -eq 6 ]

# --- The units, under the systemd of those hosts.
on 1 sudo systemctl is-active certcast-node.service
on 1 sudo systemctl is-enabled certcast-node.service
on 10 sudo systemctl is-active certcast-apply.timer
# What the timer starts: nothing to do, by way of agents, a login and the CA, within what the unit allows.
on 10 sudo systemctl start certcast-apply.service
on 10 sudo systemctl show certcast-apply.service -p Result -p ExecMainStatus
on 2 sudo systemctl kill --signal=KILL certcast-node.service
on 1 sudo systemd-analyze verify --man=no /etc/systemd/system/certcast-node.service /etc/systemd/system/certcast-files.service
on 10 sudo systemd-analyze verify --man=no /etc/systemd/system/certcast-apply.service /etc/systemd/system/certcast-apply.timer
# As README.md has them.
score() { # host, unit: what systemd-analyze gives it, where less is better
    on "$1" sudo systemd-analyze security --no-pager "$2" | sed -n 's/.*Overall exposure level for .*: \([0-9.]*\) .*/\1/p'
}
[ "$(score 1 certcast-node.service)" = 3.0 ] || fail "certcast-node.service has $(score 1 certcast-node.service)"
[ "$(score 10 certcast-apply.service)" = 1.1 ] || fail "certcast-apply.service has $(score 10 certcast-apply.service)"
# What was killed is started again.
on 2 "timeout 30 sh -c 'until sudo systemctl is-active --quiet certcast-node.service; do sleep 0.1; done'"

# --- The power of web-1 goes for a moment, in the middle of an install: `nginx -t` does not end before that.
on 1 'cat >gate && sudo install -m 755 gate /usr/local/sbin/nginx && sudo touch /run/gate' <<'GATE'
#!/bin/sh
while [ "$1" = -t ] && [ -e /run/gate ]; do : >/run/gate.reached; sleep 0.1; done
exec /usr/sbin/nginx "$@"
GATE
since() { # unit, property: microseconds since the kernel started
    on 1 systemctl show --value --property "$2TimestampMonotonic" "$1"
}
on 10 sudo -u certcast certcast apply api --force-renewal >"$work/cut.log" 2>&1 &
apply=$!
for _ in $(seq 600); do
    if on 1 test -e /run/gate.reached; then break; fi
    sleep 0.1
done
./machine.sh reset "$work" web-1
code=0
wait "$apply" || code=$?
cat "$work/cut.log"
[ "$code" -eq 4 ] || fail "a rollout during which a host went down ended with $code"
grep 'web-1: REVERTED INTERRUPTED at check' "$work/cut.log"
on 1 sudo systemctl is-system-running --wait || on 1 systemctl --failed
on 1 sudo systemctl is-active certcast-node.service nginx.service
[ "$(since certcast-files ExecMainExit)" -le "$(since nginx ExecMainStart)" ] || fail "nginx did not wait for its files"
[ "$(since nginx ActiveEnter)" -le "$(since certcast-node ExecMainStart)" ] || fail "the agent did not wait for nginx"
on 1 sudo journalctl --output cat --unit certcast-files | grep 'reload and proof are for'
on 1 sudo journalctl --output cat --unit certcast-node | grep 'interrupted at revert: REVERTED INTERRUPTED'
on 10 sudo -u certcast certcast apply api
on 10 sudo -u certcast certcast verify

# --- The controller as an inventory, from another host.
cat >"$work/certcast" <<PROGRAM
#!/bin/sh
exec ssh -F $work/ssh_config deploy@127.0.61.10 sudo -u certcast certcast "\$@"
PROGRAM
chmod 755 "$work/certcast"
cat >"$work/fleet.certcast.yml" <<INVENTORY
plugin: certcast.fleet.nodes
executable: $work/certcast
config: /etc/certcast/certcast.yaml
INVENTORY
ansible-inventory -i "$work/fleet.certcast.yml" --list >"$work/listed.json"
python3 - "$work/listed.json" <<'PYTHON'
import json
import sys

listed = json.load(open(sys.argv[1]))
agents = ["web-1", "web-2", "web-4"]
every = ["web-1", "web-2", "web-3", "web-4"]
for group, hosts in (("certificate_wildcard", every), ("certificate_api", agents), ("label_web_member", every),
                     ("state_converged", every), ("service_nginx", every), ("service_api", agents)):
    assert sorted(listed[group]["hosts"]) == hosts, (group, listed)
assert "state_pending" not in listed and "state_unreachable" not in listed, listed
variables = listed["_meta"]["hostvars"]
assert variables["web-1"]["certcast_state"] == "CONVERGED" and variables["web-1"]["certcast_services"] == ["api", "nginx"], listed
assert variables["web-1"]["ansible_host"] == "127.0.61.1" and "ansible_user" not in variables["web-1"], listed
assert variables["web-3"]["ansible_host"] == "127.0.61.3" and variables["web-3"]["ansible_user"] == "deploy", listed
PYTHON

# --- All is taken away again, and nothing that is not beside the configuration.
if play absent.yml --check -e '{"controller_files": [{"name": "..", "content": ""}]}'; then
    fail "a file of another directory would have been removed"
fi
grep 'a name without directories; found \.\.' "$work/play"
if play absent.yml --check -e '{"controller_config": {"state": "/"}, "node_config": {"state": "/"}}'; then
    fail "a directory that is no state would have been removed"
fi
grep '/ has neither an identity nor' "$work/play"
if play absent.yml --check --limit certcast_controller -e '{"controller_config": {"state": "/"}}'; then
    fail "a directory that is no state would have been removed"
fi
grep '/ has no certcast.db' "$work/play"
play absent.yml
play absent.yml
expect_same

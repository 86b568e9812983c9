#!/usr/bin/env bash
# A fleet on this machine, reached by a real sshd: a controller, two hosts with agents and one that is logged in to, an nginx on
# each, set up by the roles; then every module on it.
set -eux -o pipefail

work=$OUTPUT_DIR/fleet
export WORK=$work ANSIBLE_CALLBACK_RESULT_FORMAT=yaml
# nginx's workers, which are not root, read below it.
mkdir -p "$work"
chmod 755 "$OUTPUT_DIR" "$work"

finish() {
    ansible-playbook -i inventory.yml teardown.yml -e "@$work.ports.yml" "$@" >"$work.teardown.log" 2>&1 || cat "$work.teardown.log"
}
trap 'finish "$@"' EXIT

ansible-playbook -i inventory.yml ports.yml "$@"
ansible-playbook -i inventory.yml setup.yml -e "@$work.ports.yml" -e @../../integration_config.yml "$@"

# Twice the same: nothing changes.
ansible-playbook -i inventory.yml setup.yml -e "@$work.ports.yml" -e @../../integration_config.yml "$@" | tee "$work.second"
[ "$(grep -c 'changed=0 ' "$work.second")" -eq 4 ]

for unit in "$work"/units/*.service "$work"/units/*.timer; do
    # Outside of a running systemd: what they need of the machine is not looked at.
    SYSTEMD_OFFLINE=1 systemd-analyze verify --man=no "$unit" 2>&1 | tee "$work.verify"
    [ "$(grep -c "${unit##*/}" "$work.verify")" -eq 0 ]
done
# 3.2 and 1.6 of 10 by systemd 252.
systemd-analyze security --offline=yes --no-pager --threshold=33 "$work/units/certcast-node.service"
systemd-analyze security --offline=yes --no-pager --threshold=17 "$work/units/certcast-apply.service"

ansible-playbook -i inventory.yml modules.yml -e "@$work.ports.yml" -e @../../integration_config.yml "$@" | tee "$work.modules"
# Lines of waves, from the action plugin, before the task has ended.
grep -q "  wildcard: wave 1/2: 1/1" "$work.modules"

# The controller as an inventory.
cat >"$work/fleet.certcast.yml" <<INVENTORY
plugin: certcast.fleet.nodes
executable: $work/bin/certcast
config: $work/etc/certcast.yaml
INVENTORY
ansible-inventory -i "$work/fleet.certcast.yml" --list >"$work/listed.json"
python3 - "$work/listed.json" <<'PYTHON'
import json
import sys

listed = json.load(open(sys.argv[1]))
for group in ("certificate_wildcard", "label_role_web", "state_converged"):
    assert sorted(listed[group]["hosts"]) == ["web-1", "web-2", "web-3"], (group, listed)
assert listed["_meta"]["hostvars"]["web-1"]["certcast_state"] == "CONVERGED", listed
PYTHON

# All is taken away again.
ansible-playbook -i inventory.yml teardown.yml -e "@$work.ports.yml" "$@"
[ -z "$(find "$work/bin" "$work/units" "$work/etc" -type f -name 'certcast*')" ]
trap - EXIT

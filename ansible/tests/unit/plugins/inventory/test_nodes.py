# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import pytest

from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import inventory_loader
from ansible_collections.certcast.fleet.plugins.inventory import nodes


def node(name, address, labels=None, certificates=("wildcard",)):
    return {"name": name, "address": address, "labels": labels or {}, "certificates": list(certificates), "enrolled": True,
            "identityNotAfter": None, "lastSeen": None, "hosted": False}


def row(name, state, certificate="wildcard", services=("nginx",)):
    return {"name": name, "certificate": certificate, "state": state, "services": list(services)}


@pytest.fixture
def read(fake, tmp_path):
    def read_inventory(more=""):
        path = tmp_path / "fleet.certcast.yml"
        path.write_text("plugin: certcast.fleet.nodes\nexecutable: %s\n%s" % (fake.path, more))
        inventory = InventoryData()
        plugin = inventory_loader.get("certcast.fleet.nodes")
        assert plugin.verify_file(str(path))
        plugin.parse(inventory, DataLoader(), str(path))
        return inventory

    return read_inventory


def members(inventory):
    return dict((name, sorted(host.name for host in group.get_hosts())) for name, group in inventory.groups.items()
                if name not in ("all", "ungrouped"))


def test_nodes_are_hosts_in_groups(fake, read):
    fake.answer(["nodes"], {"nodes": [node("web-01", "grpc://10.0.0.1:7444", {"role": "web"}),
                                      node("old-01", "ssh://deploy@10.0.0.9:2222", {"role": "web"}, ("wildcard", "ev"))]})
    fake.answer(["status"], {"nodes": [row("web-01", "CONVERGED"), row("old-01", "CONVERGED"),
                                       row("old-01", "UNREACHABLE", "ev", ())]}, code=3)
    inventory = read("config: /etc/certcast/certcast.yaml\n")
    assert members(inventory) == {
        "certificate_wildcard": ["old-01", "web-01"], "certificate_ev": ["old-01"], "label_role_web": ["old-01", "web-01"],
        "state_converged": ["web-01"], "state_unreachable": ["old-01"], "service_nginx": ["old-01", "web-01"]}
    assert [argv[:5] for argv in fake.argvs] == [["--config", "/etc/certcast/certcast.yaml", "-o", "json", verb]
                                                 for verb in ("nodes", "status")]
    variables = inventory.get_host("old-01").get_vars()
    assert (variables["ansible_host"], variables["ansible_user"], variables["ansible_port"]) == ("10.0.0.9", "deploy", 2222)
    assert variables["certcast_state"] == "UNREACHABLE" and variables["certcast_services"] == ["nginx"]
    variables = inventory.get_host("web-01").get_vars()
    assert variables["ansible_host"] == "10.0.0.1" and "ansible_port" not in variables


def test_without_asking_no_node_is_bothered(fake, read):
    fake.answer(["nodes"], {"nodes": [node("web-01", "grpc://10.0.0.1:7444")]})
    inventory = read("ask: false\nkeyed_groups:\n  - {key: certcast_labels.rack | default('none'), prefix: rack}\n")
    assert members(inventory) == {"certificate_wildcard": ["web-01"], "rack_none": ["web-01"]}
    assert len(fake.calls) == 1


def test_an_error_is_the_programs_own(fake, read):
    fake.answer(["nodes"], code=2, err="certcast: /etc/certcast/certcast.yaml:7:3: found nodez\n  hint: nodes?\n")
    with pytest.raises(AnsibleParserError, match="certcast.yaml:7:3: found nodez\nHint: nodes?"):
        read()


def test_an_answer_that_is_none_is_an_error(fake, read):
    fake.answer(["nodes"], "no JSON")
    with pytest.raises(AnsibleParserError, match="not JSON"):
        read()


@pytest.mark.parametrize("executable", ["/nowhere/certcast", "certcast-that-is-nowhere"])
def test_a_program_that_is_not_there_is_named(read, executable):
    with pytest.raises(AnsibleParserError, match=executable):
        read("executable: %s\n" % executable)


@pytest.mark.parametrize("name", ["hosts.yml", "fleet.certcast.json"])
def test_files_of_others_are_left_to_them(tmp_path, name):
    (tmp_path / name).write_text("plugin: certcast.fleet.nodes\n")
    assert not nodes.InventoryModule().verify_file(str(tmp_path / name))


@pytest.mark.parametrize("address, parts", [
    ("grpc://10.0.0.1:7444", ("grpc", None, "10.0.0.1", 7444)),
    ("10.0.0.1:7444", ("grpc", None, "10.0.0.1", 7444)),
    ("ssh://deploy@old-01", ("ssh", "deploy", "old-01", None)),
    ("deploy@[2001:db8::9]:22", ("ssh", "deploy", "2001:db8::9", 22)),
    ("ssh://[2001:db8::9]", ("ssh", None, "2001:db8::9", None)),
])
def test_addresses_are_taken_apart(address, parts):
    assert nodes.split_address(address) == parts

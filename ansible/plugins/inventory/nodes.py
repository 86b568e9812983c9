# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
name: nodes
short_description: The nodes of a certcast controller
version_added: 0.1.0
author:
  - The certcast developers (@certcast)
description:
  - Hosts out of the nodes that the controller's configuration names, on the machine where the controller is.
  - Groups are C(certificate_NAME), C(label_KEY_VALUE) and, where the nodes are asked, C(state_STATE) in lower case and
    C(service_NAME). A node with several certificates is in the group of the worst state. What a group's name may not hold
    becomes an underscore.
  - Hosts have C(ansible_host), and those that are logged in to C(ansible_user) and C(ansible_port), of their C(address); and
    C(certcast_address), C(certcast_labels), C(certcast_certificates), C(certcast_enrolled), and where asked
    C(certcast_state) and C(certcast_services).
  - The name of the file ends with C(certcast.yml) or C(certcast.yaml).
options:
  plugin:
    description: Always C(certcast.fleet.nodes).
    type: str
    required: true
    choices: [certcast.fleet.nodes]
  executable:
    description: The program C(certcast), a path or a name to be looked for in C(PATH).
    type: str
    default: certcast
  config:
    description: The controller's configuration. Without it the program takes its usual one.
    type: path
  ask:
    description:
      - Ask each node how it is, for C(state_STATE) and C(service_NAME). That takes as long as C(certcast status) does.
      - A node that does not answer is in C(state_unreachable).
    type: bool
    default: true
extends_documentation_fragment:
  - constructed
"""

EXAMPLES = r"""
# fleet.certcast.yml
plugin: certcast.fleet.nodes
config: /etc/certcast/certcast.yaml
keyed_groups:
  - key: certcast_labels.rack | default('none')
    prefix: rack

# ansible-inventory -i fleet.certcast.yml --graph
# ansible -i fleet.certcast.yml state_drifted -m ansible.builtin.command -a "certcast-node status"
"""

import os
import shutil
import subprocess

from ansible.errors import AnsibleParserError
from ansible.module_utils.common.text.converters import to_native
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable
from ansible_collections.certcast.fleet.plugins.module_utils import program

# The worst first.
STATES = ("FAILED", "DRIFTED", "UNREACHABLE", "PENDING", "CONVERGED")


def split_address(address):
    """Scheme, user, host and port of `ssh://deploy@[::1]:22`; what is not there is None."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        scheme, rest = "ssh" if "@" in address else "grpc", address
    user, separator, server = rest.rpartition("@")
    if server.startswith("["):
        host, dummy, port = server[1:].partition("]")
        port = port.lstrip(":")
    else:
        host, dummy, port = server.partition(":")
    return scheme, user or None, host, int(port) if port.isdigit() else None


def variables_of(node):
    scheme, user, host, port = split_address(node["address"])
    variables = {"certcast_address": node["address"], "certcast_labels": node["labels"],
                 "certcast_certificates": node["certificates"], "certcast_enrolled": node["enrolled"], "ansible_host": host}
    if scheme == "ssh":
        variables.update((name, value) for name, value in (("ansible_user", user), ("ansible_port", port)) if value)
    return variables


def groups_of(node):
    return (["certificate_%s" % name for name in node["certificates"]]
            + ["label_%s_%s" % label for label in sorted(node["labels"].items())])


def states_and_services(status):
    """By node: its worst state, and its services."""
    states, services = {}, {}
    for row in status["nodes"]:
        seen = states.setdefault(row["name"], row["state"])
        if row["state"] in STATES and STATES.index(row["state"]) < STATES.index(seen):
            states[row["name"]] = row["state"]
        services.setdefault(row["name"], set()).update(row.get("services", []))
    return states, services


class InventoryModule(BaseInventoryPlugin, Constructable):
    NAME = "certcast.fleet.nodes"

    def verify_file(self, path):
        return (super(InventoryModule, self).verify_file(path)
                and path.endswith(("certcast.yml", "certcast.yaml")))

    def parse(self, inventory, loader, path, cache=True):
        super(InventoryModule, self).parse(inventory, loader, path, cache=cache)
        self._read_config_data(path)
        for node in self._call(("nodes",), (program.DONE,))["nodes"]:
            self.inventory.add_host(node["name"])
            for name, value in variables_of(node).items():
                self.inventory.set_variable(node["name"], name, value)
            self._add_to(node["name"], groups_of(node))
        if self.get_option("ask"):
            self._ask()
        self._construct()

    def _ask(self):
        states, services = states_and_services(self._call(("status",), (program.DONE, program.INCOMPLETE)))
        for name, state in states.items():
            self.inventory.set_variable(name, "certcast_state", state)
            self.inventory.set_variable(name, "certcast_services", sorted(services[name]))
            self._add_to(name, ["state_%s" % state.lower()] + ["service_%s" % service for service in sorted(services[name])])

    def _construct(self):
        strict = self.get_option("strict")
        for name in list(self.inventory.hosts):
            variables = self.inventory.get_host(name).get_vars()
            self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
            self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
            self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict=strict)

    def _add_to(self, host, groups):
        for group in groups:
            self.inventory.add_child(self.inventory.add_group(self._sanitize_group_name(group)), host)

    def _call(self, verb, good):
        name = self.get_option("executable")
        found = name if os.sep in name else shutil.which(name)
        if not found:
            raise AnsibleParserError("there is no program %s in PATH on this machine. Is it the controller?" % name)
        argv = [found] + (["--config", self.get_option("config")] if self.get_option("config") else [])
        try:
            ended = subprocess.run(argv + ["-o", "json"] + list(verb), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                   env=dict(os.environ, **program.ENVIRONMENT), check=False)
            if ended.returncode in good:
                return program.parse_answer(ended.stdout, ended.returncode, ended.stderr)
        except (OSError, program.ProgramError) as error:
            raise AnsibleParserError("%s: %s" % (found, to_native(error)))
        raise AnsibleParserError(
            program.failure_of(program.how_it_ended(argv, ended.returncode), ended.stderr)["msg"])

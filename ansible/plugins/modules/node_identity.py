#!/usr/bin/python
# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: node_identity
short_description: A node's place in the fleet
version_added: 0.1.0
author:
  - The certcast developers (@certcast)
description:
  - Three steps give a node its identity, over the channel that Ansible has anyway. C(csr) on the node makes the node's own key
    and answers with a request for it. C(sign) on the controller makes the identity. C(accept) on the node pins it.
  - The key never leaves the node, and neither the request nor the identity is a secret.
  - The role C(certcast.fleet.node) does all three.
options:
  action:
    description:
      - Which of the steps. C(csr) and C(accept) run on the node, C(sign) on the controller.
    type: str
    required: true
    choices: [csr, sign, accept]
  name:
    description:
      - For C(sign), the node, as the configuration of the controller names it.
    type: str
  csr:
    description:
      - For C(sign), C(csr) of the answer of the first step. Where that is empty nothing is due, and nothing is done.
    type: str
  identity:
    description:
      - For C(accept), C(identity) of the answer of the second step. Where that is empty nothing is done.
    type: str
  renew_before:
    description:
      - For C(csr), an identity that has fewer days left than that is due. One lives for 30 days.
    type: int
    default: 10
  force_renewal:
    description:
      - For C(csr), make a request although none is due.
    type: bool
    default: false
  force:
    description:
      - For C(accept), leave the fleet that the node belongs to for another one.
    type: bool
    default: false
  executable:
    description:
      - The program C(certcast-node) on the node, for C(sign) C(certcast) on the controller; a path or a name to be looked for in
        C(PATH).
    type: path
  config:
    description:
      - Its configuration there. Without it the program takes its usual one, C(/etc/certcast/node.yaml) or
        C(/etc/certcast/certcast.yaml).
    type: path
extends_documentation_fragment:
  - certcast.fleet.program.attributes
attributes:
  check_mode:
    support: full
    details:
      - No key and no identity is made. Where one is due, C(due) of the first step says so; the other two say C(changed).
  diff_mode:
    support: full
    details:
      - For C(accept), the fleet and until when the identity counts.
  async:
    support: full
"""

EXAMPLES = r"""
- name: A request for the node's own key
  certcast.fleet.node_identity:
    action: csr
  register: request

- name: The identity
  certcast.fleet.node_identity:
    action: sign
    name: "{{ inventory_hostname }}"
    csr: "{{ request.csr }}"
  when: request.due
  register: signed
  delegate_to: controller

- name: Belong to the fleet
  certcast.fleet.node_identity:
    action: accept
    identity: "{{ signed.identity }}"
  when: request.due
"""

RETURN = r"""
due:
  description: Whether the node has no identity, or one that ends soon.
  returned: for C(csr)
  type: bool
  sample: true
csr:
  description: The request, PEM. Empty where none is due, and in check mode.
  returned: for C(csr)
  type: str
  sample: "-----BEGIN CERTIFICATE REQUEST-----..."
identity:
  description: The identity, PEM. It holds no secret. Empty in check mode.
  returned: for C(sign)
  type: str
  sample: "-----BEGIN CERTIFICATE-----..."
not_after:
  description: Until when the identity counts; empty where there is none.
  returned: always
  type: str
  sample: "2026-12-22T10:00:00Z"
fleet_id:
  description: The fleet that the node belongs to; empty where it belongs to none.
  returned: for C(csr) and C(accept)
  type: str
  sample: 0b9f8a52-6f52-4a55-9d3e-0e5a7d0f9c11
"""

import calendar
import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.certcast.fleet.plugins.module_utils import program


def argv_of(module, *arguments):
    on_controller = module.params["action"] == "sign"
    name = module.params["executable"] or ("certcast" if on_controller else "certcast-node")
    argv = [program.find_program(module, name, "the controller" if on_controller else "a node with the agent")]
    if module.params["config"]:
        argv += ["--config", os.path.abspath(module.params["config"])]
    return argv + list(arguments)


def run_text(module, argv, data=None):
    """Of a verb that answers with PEM."""
    code, out, err = module.run_command(argv, data=data, binary_data=True, environ_update=program.ENVIRONMENT)
    if code != program.DONE:
        module.fail_json(exit_code=code, **program.failure_of(program.how_it_ended(argv, code), err))
    return out


def inventory(module):
    """Fleet and end of the identity as the node has them."""
    dummy, answer, dummy = program.run_or_fail(module, argv_of(module, "status", "-o", "json"))
    return {"fleet_id": answer["fleet_id"], "not_after": answer.get("identity_not_after") or ""}


def is_due(current, days):
    if not current["fleet_id"] or not current["not_after"]:
        return True
    end = calendar.timegm(time.strptime(current["not_after"][:19], "%Y-%m-%dT%H:%M:%S"))
    return end - time.time() < days * 86400


def csr(module):
    current = inventory(module)
    due = module.params["force_renewal"] or is_due(current, module.params["renew_before"])
    request = run_text(module, argv_of(module, "csr")) if due and not module.check_mode else ""
    return dict(current, changed=False, due=due, csr=request)


def sign(module):
    if module.check_mode or not module.params["csr"]:
        return {"changed": module.check_mode, "identity": "", "not_after": ""}
    argv = argv_of(module, "-o", "json", "nodes", "sign", *program.name_of(module, "name"))
    dummy, answer, dummy = program.run_or_fail(module, argv, data=module.params["csr"])
    return {"changed": True, "identity": answer["identity_pem"], "not_after": answer["not_after"]}


def accept(module):
    before = inventory(module)
    if module.check_mode:
        return dict(before, changed=True), before
    if not module.params["identity"]:
        return dict(before, changed=False), before
    run_text(module, argv_of(module, "accept", *(["--force"] if module.params["force"] else [])),
             data=module.params["identity"])
    after = inventory(module)
    return dict(after, changed=after != before), before


def describe(current):
    return "fleet %s, identity until %s\n" % (current["fleet_id"] or "none", current["not_after"] or "never")


def main():
    module = AnsibleModule(
        argument_spec=dict(
            action={"type": "str", "required": True, "choices": ["csr", "sign", "accept"]},
            name={"type": "str"},
            csr={"type": "str"},
            identity={"type": "str"},
            renew_before={"type": "int", "default": 10},
            force_renewal={"type": "bool", "default": False},
            force={"type": "bool", "default": False},
            executable={"type": "path"},
            config={"type": "path"},
        ),
        required_if=[("action", "sign", ("name", "csr")), ("action", "accept", ("identity",))],
        supports_check_mode=True,
    )
    if module.params["action"] == "csr":
        module.exit_json(**csr(module))
    if module.params["action"] == "sign":
        module.exit_json(**sign(module))
    result, before = accept(module)
    if module._diff:
        after = "an identity of the controller's fleet\n" if module.check_mode else describe(result)
        result["diff"] = {"before": describe(before), "after": after}
    module.exit_json(**result)


if __name__ == "__main__":
    main()

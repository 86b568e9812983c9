#!/usr/bin/python
# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: verify
short_description: See with handshakes that every endpoint serves the certificate
version_added: 0.1.0
author:
  - The certcast developers (@certcast)
description:
  - Connects from the controller to each C(verify) address of each node as a stranger would, and compares what is served with
    the wanted generation (C(certcast verify)). Needs no agent, changes nothing.
  - Fails unless every endpoint serves it, and names those that don't.
options:
  name:
    description:
      - One certificate, as the configuration of the controller names it. Without it all are meant.
    type: str
  handshake_timeout:
    description:
      - Of one handshake, looking up its host name included, such as C(5s) or C(500ms). The program's default is 5 s.
    type: str
extends_documentation_fragment:
  - certcast.fleet.program
  - certcast.fleet.program.attributes
  - certcast.fleet.program.info
"""

EXAMPLES = r"""
- name: What a stranger is served
  certcast.fleet.verify:
    name: wildcard
  delegate_to: controller
  run_once: true
"""

RETURN = r"""
converged:
  description: Endpoints that serve it.
  returned: when the program answered
  type: int
  sample: 50
total:
  description: All endpoints.
  returned: when the program answered
  type: int
  sample: 50
endpoints:
  description: The endpoints, with what is expected and what is served.
  returned: when the program answered
  type: list
  elements: dict
  sample: [{node: web-01, address: "10.0.0.1:443", server_name: www.example.com, ok: true, served_sha256: 5c0f7e}]
certificates:
  description: The certificates, and how many endpoints serve each.
  returned: when the program answered
  type: list
  elements: dict
  sample: [{name: wildcard, generation: 7, converged: 50, total: 50}]
nodes_without_endpoint:
  description: Nodes of which nothing is known from here, since they declare no endpoint.
  returned: when the program answered
  type: list
  elements: str
  sample: []
failed_nodes:
  description: Nodes with an endpoint that does not serve it.
  returned: on failure
  type: list
  elements: str
  sample: [web-02]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.certcast.fleet.plugins.module_utils import program
from ansible_collections.certcast.fleet.plugins.module_utils.rollouts import MOST_NODES


def describe(endpoint):
    served = endpoint["served_sha256"]
    text = "%s: %s as %s: " % (endpoint["node"], endpoint["address"], endpoint["server_name"])
    if served:
        text += "serves %s, expected %s" % (served, endpoint["expected_sha256"] or "none, as there is none yet")
    else:
        text += "no certificate was seen"
    return text + (": %s" % endpoint["detail"] if endpoint["detail"] else "")


def fail(module, answer):
    bad = [endpoint for endpoint in answer["endpoints"] if not endpoint["ok"]]
    lines = ["%d of %d endpoints serve the wanted certificate" % (answer["converged"], answer["total"])]
    lines += [describe(endpoint) for endpoint in bad[:MOST_NODES]]
    if len(bad) > MOST_NODES:
        lines.append("and %d more" % (len(bad) - MOST_NODES))
    if not answer["endpoints"]:
        lines = ["no node declares an endpoint. Hint: add `verify:` to the nodes in the controller's configuration"]
    module.fail_json(msg="\n".join(lines), failed_nodes=sorted(set(endpoint["node"] for endpoint in bad)), **answer)


def main():
    spec = dict(name={"type": "str"}, handshake_timeout={"type": "str"})
    spec.update(program.program_spec())
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    arguments = ["verify"] + program.name_of(module, "name")
    if module.params["handshake_timeout"]:
        arguments += ["--timeout"] + program.name_of(module, "handshake_timeout")
    code, answer, err = program.run_or_fail(
        module, program.controller_argv(module, *arguments), good=(program.DONE, program.INCOMPLETE))
    for warning in program.warnings_of(err):
        module.warn(warning)
    if code == program.INCOMPLETE:
        fail(module, answer)
    module.exit_json(changed=False, **answer)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: status_info
short_description: What every node has installed and serves
version_added: 0.1.0
author:
  - The certcast developers (@certcast)
description:
  - Asks every node now (C(certcast status)). Not being N of N is no failure of this task; use C(converged) and C(total), or
    M(certcast.fleet.verify).
options:
  name:
    description:
      - One certificate, as the configuration of the controller names it. Without it all are meant.
    type: str
extends_documentation_fragment:
  - certcast.fleet.program
  - certcast.fleet.program.attributes
  - certcast.fleet.program.info
"""

EXAMPLES = r"""
- name: Ask the fleet
  certcast.fleet.status_info:
  register: fleet
  delegate_to: controller
  run_once: true

- name: Name those that lag behind
  ansible.builtin.debug:
    msg: "{{ fleet.converged }} of {{ fleet.total }}, not {{ fleet.nodes | rejectattr('state', 'eq', 'CONVERGED') | map(attribute='name') }}"
  run_once: true
"""

RETURN = r"""
converged:
  description: Pairs of node and certificate that are as they should be.
  returned: always
  type: int
  sample: 49
total:
  description: All pairs of node and certificate.
  returned: always
  type: int
  sample: 50
complete:
  description: Whether both are the same.
  returned: always
  type: bool
  sample: false
certificates:
  description: The certificates, their wanted generation, and how many nodes have it.
  returned: always
  type: list
  elements: dict
  sample: [{name: wildcard, generation: 7, leaf_sha256: 5c0f7e, not_after: "2026-12-22T10:00:00Z", converged: 49, total: 50}]
nodes:
  description:
    - A node and a certificate each. C(state) is C(CONVERGED), C(PENDING), C(DRIFTED), C(UNREACHABLE) or C(FAILED).
  returned: always
  type: list
  elements: dict
  sample: [{name: web-02, certificate: wildcard, state: DRIFTED, detail: /etc/nginx/tls/fullchain.pem is gone}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.certcast.fleet.plugins.module_utils import program


def main():
    spec = dict(name={"type": "str"})
    spec.update(program.program_spec())
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    argv = program.controller_argv(module, "status", *program.name_of(module, "name"))
    dummy, answer, err = program.run_or_fail(module, argv, good=(program.DONE, program.INCOMPLETE))
    for warning in program.warnings_of(err):
        module.warn(warning)
    answer.pop("warnings", None)
    module.exit_json(changed=False, complete=answer["converged"] == answer["total"], **answer)


if __name__ == "__main__":
    main()

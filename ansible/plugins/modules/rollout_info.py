#!/usr/bin/python
# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: rollout_info
short_description: How rollouts stand
version_added: 0.1.0
author:
  - The certcast developers (@certcast)
description:
  - Reads what is saved of rollouts, also while another process is at work on them, and asks no node
    (C(certcast rollout status) and C(certcast rollout history)).
options:
  id:
    description:
      - The rollout's id, the beginning of it as far as only one has it, or a certificate, for its latest one.
      - Without it the latest of all is meant.
    type: str
    aliases: [name]
extends_documentation_fragment:
  - certcast.fleet.program
  - certcast.fleet.program.attributes
  - certcast.fleet.program.info
"""

EXAMPLES = r"""
- name: Wait for a rollout that somebody else began
  certcast.fleet.rollout_info:
    id: wildcard
  register: latest
  until: latest.rollout.finished_at is defined
  retries: 120
  delay: 10
  delegate_to: controller
  run_once: true
"""

RETURN = r"""
rollout:
  description: The rollout with all its nodes. Empty where there was none yet.
  returned: always
  type: dict
  sample: {id: wildcard-7-1, certificate: wildcard, generation: 7, state: COMPLETED, nodes: []}
requested:
  description: What the process that carries it out was asked for and has not taken up yet.
  returned: where there is something
  type: dict
  sample: {action: PAUSE}
rollouts:
  description: All that are kept, the latest first, without their nodes.
  returned: always
  type: list
  elements: dict
  sample: [{id: wildcard-7-1, state: COMPLETED}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.certcast.fleet.plugins.module_utils import program

ANY_STATE = (program.DONE, program.INCOMPLETE, program.HALTED)


def main():
    spec = dict(id={"type": "str", "aliases": ["name"]})
    spec.update(program.program_spec())
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    name = program.name_of(module, "id")
    dummy, listed, dummy = program.run_or_fail(module, program.controller_argv(module, "rollout", "history", *name))
    result = {"rollouts": listed["rollouts"], "rollout": {}}
    if listed["rollouts"]:
        dummy, shown, dummy = program.run_or_fail(
            module, program.controller_argv(module, "rollout", "status", *name), good=ANY_STATE)
        result.update(shown)
        if not result.get("requested"):
            result.pop("requested", None)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()

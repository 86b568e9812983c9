#!/usr/bin/python
# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: rollout
short_description: Pause, resume, abort, undo or retry a rollout
version_added: 0.1.0
author:
  - The certcast developers (@certcast)
description:
  - What an operator wants of a rollout, also of one that another process is at work on (C(certcast rollout)).
  - Says C(ok) where the rollout stands that way already.
options:
  id:
    description:
      - The rollout's id, the beginning of it as far as only one has it, or a certificate, for its latest one.
      - Without it the latest of all is meant; for C(pause), C(resume) and C(abort) the one that is unfinished.
    type: str
    aliases: [name]
  action:
    description:
      - C(pause) begins no further node. C(resume) goes on with one that is paused, or was left unfinished.
      - C(abort) halts it, as if the failure budget had been overspent.
      - C(undo) puts back what it changed, also after it has ended. The generation stays the wanted one, and the next
        M(certcast.fleet.certificate) rolls it out again.
      - C(retry) rolls the generation out once more, to the nodes that ended without it.
    type: str
    required: true
    choices: [pause, resume, abort, undo, retry]
  on_halt:
    description:
      - With C(abort), whether the nodes that were changed go back (C(revert)) or stay (C(keep)), or what the configuration says.
    type: str
    choices: [as_planned, revert, keep]
    default: as_planned
  now:
    description:
      - With C(resume) and C(retry), whatever C(rollout.windows) of the configuration say.
    type: bool
    default: false
extends_documentation_fragment:
  - certcast.fleet.program
  - certcast.fleet.program.job
  - certcast.fleet.program.attributes
attributes:
  check_mode:
    support: full
    details:
      - Says from the rollout's record whether there is something to do. What the program would refuse is not found out.
  diff_mode:
    support: full
    details:
      - The state of the rollout before and after.
  async:
    support: full
seealso:
  - module: certcast.fleet.rollout_info
"""

EXAMPLES = r"""
- name: Nothing more for now
  certcast.fleet.rollout:
    id: wildcard
    action: pause
  delegate_to: controller
  run_once: true

- name: Once more to the nodes that failed, now that they are mended
  certcast.fleet.rollout:
    id: wildcard
    action: retry
  delegate_to: controller
  run_once: true

- name: Back to what was there before
  certcast.fleet.rollout:
    id: wildcard
    action: undo
  delegate_to: controller
  run_once: true
"""

RETURN = r"""
rollout:
  description: The rollout as it stands now; of C(retry) the new one.
  returned: when the program answered
  type: dict
  sample: {id: wildcard-7-1, certificate: wildcard, generation: 7, state: PAUSED}
text:
  description: What became of the request.
  returned: when the program answered
  type: str
  sample: it is PAUSED
converged:
  description: Whether it came to what was wanted.
  returned: when it was waited for
  type: bool
  sample: true
failed_nodes:
  description: Nodes that failed or could not be reached.
  returned: when not every node has it
  type: list
  elements: str
  sample: [web-02]
hint:
  description: What to do.
  returned: on failure, where there is a hint
  type: str
  sample: mend the nodes that failed, then run this again
lines:
  description: What the program wrote for people.
  returned: always, but in check mode
  type: list
  elements: str
  sample: []
job:
  description: What M(certcast.fleet.job) follows.
  returned: with I(wait=false), while it runs
  type: str
  sample: /tmp/certcast-job-x1y2z3
finished:
  description: Whether it has ended.
  returned: always, but in check mode
  type: bool
  sample: true
offset:
  description: Where in the job's lines to go on reading.
  returned: with I(wait=false), while it runs
  type: int
  sample: 0
exit_code:
  description: The exit code of the program.
  returned: when it has ended
  type: int
  sample: 0
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.certcast.fleet.plugins.module_utils import long_runs, program, rollouts

ENDED = ("COMPLETED", "INCOMPLETE", "HALTED", "REVERTED")


def current(module):
    """The rollout that is meant, as it stands; None where there is none."""
    argv = program.controller_argv(module, "rollout", "status", *program.name_of(module, "id"))
    code, answer, err = program.run(module, argv)
    if code == program.USAGE:
        module.fail_json(exit_code=code, **program.failure_of(program.how_it_ended(argv, code), err))
    return answer.get("rollout")


def would_change(action, rollout):
    """Whether there is something to do, as far as its record says."""
    state = rollout["state"]
    if action == "pause":
        return state not in ENDED + ("PAUSED", "REVERTING")
    if action in ("resume", "abort"):
        return state not in ENDED
    if action == "undo":
        return any(node["outcome"] == "INSTALLED" for node in rollout["nodes"])
    return bool(rollouts.troubled_nodes(rollout))


def check(module, rollout):
    if rollout is None:
        module.fail_json(msg="there is no such rollout")
    changes = would_change(module.params["action"], rollout)
    result = {"changed": changes, "rollout": rollout, "text": ""}
    if module._diff:
        after = "%s: %s\n" % (rollout["id"], module.params["action"] if changes else rollout["state"])
        result["diff"] = {"before": "%s: %s\n" % (rollout["id"], rollout["state"]), "after": after}
    module.exit_json(**result)


def arguments_of(module):
    arguments = ["rollout", module.params["action"]] + program.name_of(module, "id")
    flags = {"on_halt": {"revert": "--revert", "keep": "--keep"}.get(module.params["on_halt"]),
             "now": "--now" if module.params["now"] else None}
    for option, actions in (("on_halt", ("abort",)), ("now", ("resume", "retry"))):
        if flags[option] is None:
            continue
        if module.params["action"] not in actions:
            module.fail_json(msg="%s is for action: %s, not for %s" % (option, " or ".join(actions), module.params["action"]))
        arguments.append(flags[option])
    return arguments


def main():
    spec = dict(
        id={"type": "str", "aliases": ["name"]},
        action={"type": "str", "required": True, "choices": ["pause", "resume", "abort", "undo", "retry"]},
        on_halt={"type": "str", "choices": ["as_planned", "revert", "keep"], "default": "as_planned"},
        now={"type": "bool", "default": False},
    )
    spec.update(program.program_spec())
    spec.update(program.job_spec())
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    program.check_timeout(module)
    arguments = arguments_of(module)
    rollout = current(module)
    if module.check_mode:
        check(module, rollout)
    about = {"verb": "rollout"}
    if rollout is not None:
        about["standing"] = long_runs.standing(rollout)
        if module._diff:
            about["state_before"] = "%s: %s\n" % (rollout["id"], rollout["state"])
    long_runs.run_long(module, program.controller_argv(module, *arguments), about)


if __name__ == "__main__":
    main()

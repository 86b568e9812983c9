#!/usr/bin/python
# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: certificate
short_description: Bring a certificate to every server, and see it served
version_added: 0.1.0
author:
  - The certcast developers (@certcast)
description:
  - Obtains or renews the certificate where that is due, then rolls it out in waves. Each node verifies it, switches to it,
    reloads its services and probes what they serve; the controller looks for itself and confirms.
  - A node whose check, reload or probe fails goes back to what it had. More failures than C(max_failures) of the
    configuration halt the rollout, and the nodes that it changed go back too.
  - A second run does nothing and is C(ok).
  - This is C(certcast apply); with I(compromised) it is C(certcast replace).
options:
  name:
    description:
      - The certificate, as the configuration of the controller names it.
      - Without it all certificates are meant.
    type: str
  force_renewal:
    description:
      - Obtain a new generation although none is due. Each run with it obtains another one, so it is not for a timer.
    type: bool
    default: false
  compromised:
    description:
      - The key is out. A new key is brought to every node, proven, and then every generation that had the old one is revoked.
      - Goes on where an earlier run ended. After it is done, another run replaces the key once more.
      - Needs I(name). There is no dry run of it, so check mode says that there is a change and nothing more.
    type: bool
    default: false
  now:
    description:
      - Roll out whatever C(rollout.windows) of the configuration say. The rollout's record names the user.
    type: bool
    default: false
  wait_for_window:
    description:
      - Stay until the windows open that the rollouts wait for. Without it such a rollout is incomplete, and the next run
        within the window goes on with it. Mind I(timeout).
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
      - This is C(certcast apply --dry-run), which asks every node and changes nothing.
  diff_mode:
    support: full
    details:
      - A line a node and certificate, with fingerprint and C(notAfter). Every node is asked once more for it beforehand.
  async:
    support: full
seealso:
  - module: certcast.fleet.status_info
  - module: certcast.fleet.rollout
  - module: certcast.fleet.verify
"""

EXAMPLES = r"""
- name: The monthly job
  certcast.fleet.certificate:
    name: wildcard
  delegate_to: controller
  run_once: true

- name: Say what it would do
  certcast.fleet.certificate:
    name: wildcard
  check_mode: true
  diff: true
  delegate_to: controller
  run_once: true

- name: Its key is out
  certcast.fleet.certificate:
    name: wildcard
    compromised: true
  delegate_to: controller
  run_once: true

- name: Begin, and go on with something else
  certcast.fleet.certificate:
    wait: false
  register: rollout
  delegate_to: controller
  run_once: true
"""

RETURN = r"""
certificates:
  description: The certificates and their generations.
  returned: when the program answered
  type: list
  elements: dict
  sample:
    - {name: wildcard, generation: 7, leaf_sha256: 5c0f7e, not_after: "2026-12-22T10:00:00Z", issued: true, renew_reason: ""}
rollouts:
  description:
    - The rollouts of this run, none where every node had it. C(nodes) has C(name), C(wave), C(outcome), C(reason), C(detail),
      C(hint), C(step), C(stderr), C(served_sha256) and C(duration_ms).
  returned: when the program answered
  type: list
  elements: dict
  sample:
    - {id: wildcard-7-1, certificate: wildcard, generation: 7, state: COMPLETED, waves: [{index: 1, size: 1}], nodes: []}
converged:
  description: Whether every node has it.
  returned: when it was waited for
  type: bool
  sample: true
failed_nodes:
  description: Nodes that failed or could not be reached; not those that went back although they were fine.
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
  description: What the program wrote for people, with a line a wave.
  returned: always, but in check mode
  type: list
  elements: str
  sample: ["wildcard: wave 1/2: 1/1, took 0.4s"]
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
from ansible_collections.certcast.fleet.plugins.module_utils import program, rollouts
from ansible_collections.certcast.fleet.plugins.module_utils.long_runs import run_long


def arguments_of(module):
    params = module.params
    name = program.name_of(module, "name")
    if params["compromised"]:
        return ["replace"] + name + ["--compromised"]
    arguments = ["apply"] + name
    for option, flag in (("force_renewal", "--force-renewal"), ("now", "--now"), ("wait_for_window", "--wait")):
        if params[option]:
            arguments.append(flag)
    return arguments


def look(module):
    """What the nodes serve now, for the diff."""
    name = program.name_of(module, "name")
    dummy, status, dummy = program.run_or_fail(
        module, program.controller_argv(module, "status", *name), good=(program.DONE, program.INCOMPLETE))
    dummy, listed, dummy = program.run_or_fail(module, program.controller_argv(module, "certificates", *name))
    return rollouts.served_before(status, listed)


def rollouts_before(module):
    """How far rollouts are that this run may go on with. What is wrong with the configuration the run itself says."""
    code, answer, dummy = program.run(module, program.controller_argv(module, "rollout", "history"))
    return rollouts.good_nodes(answer["rollouts"]) if code == program.DONE else {}


def check(module):
    if module.params["compromised"]:
        # That there is such a certificate.
        program.run_or_fail(module, program.controller_argv(module, "certificates", *program.name_of(module, "name")))
        module.exit_json(changed=True, rollouts=[], certificates=[],
                         msg="the key would be replaced, and what had the old one revoked")
    arguments = [argument for argument in arguments_of(module) if argument != "--wait"]
    before = look(module) if module._diff else None
    code, answer, err = program.run_or_fail(
        module, program.controller_argv(module, *(arguments + ["--dry-run"])), good=(program.DONE, program.PENDING))
    for warning in program.warnings_of(err) + obstacles_of(answer):
        module.warn(warning)
    result = dict(answer, changed=code == program.PENDING, exit_code=code)
    if before is not None:
        result["diff"] = rollouts.diff_of(before, rollouts.served_after(before, answer, planned=True))
    module.exit_json(**result)


def obstacles_of(answer):
    """What would go wrong, as the plan of a dry run has it."""
    lines = []
    for rollout in rollouts.rollouts_of(answer):
        for node in rollout["nodes"]:
            lines += ["%s would refuse it: %s" % (node["name"], obstacle) for obstacle in node["obstacles"]]
            if node["outcome"] == "OUTCOME_UNSPECIFIED" and node["reason"] != "REASON_UNSPECIFIED":
                lines.append("%s can't be reached now: %s: %s" % (node["name"], node["reason"], node["detail"]))
    return lines


def main():
    spec = dict(
        name={"type": "str"},
        force_renewal={"type": "bool", "default": False},
        compromised={"type": "bool", "default": False},
        now={"type": "bool", "default": False},
        wait_for_window={"type": "bool", "default": False},
    )
    spec.update(program.program_spec())
    spec.update(program.job_spec())
    module = AnsibleModule(
        argument_spec=spec,
        supports_check_mode=True,
        mutually_exclusive=[("now", "wait_for_window"), ("compromised", "force_renewal")],
        required_if=[("compromised", True, ("name",))],
    )
    program.check_timeout(module)
    if module.check_mode:
        check(module)
    about = {"verb": "apply", "had_it": rollouts_before(module)}
    if module._diff:
        about["before"] = look(module)
    run_long(module, program.controller_argv(module, *arguments_of(module)), about)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: revocation
short_description: Have the CA revoke a generation, once no node serves it
version_added: 0.1.0
author:
  - The certcast developers (@certcast)
description:
  - Every node of the certificate is asked, and each C(verify) address looked at. While one of them still has that certificate,
    would go back to it, or can't be asked, nothing is revoked and the task fails with their names (C(certcast revoke)).
  - What is revoked already is C(ok).
  - After a key got out use M(certcast.fleet.certificate) with I(compromised=true), which replaces it first.
options:
  name:
    description:
      - The certificate, as the configuration of the controller names it.
    type: str
    required: true
  reason:
    description:
      - Of RFC 5280, by name or number, such as C(superseded) or C(keyCompromise).
    type: str
    required: true
  generation:
    description:
      - Which one. The latest without it.
    type: int
  certificate:
    description:
      - PEM file on the controller, instead of a generation another certificate of the same CA.
    type: path
  certificate_key:
    description:
      - PEM file on the controller with the private key of I(certificate), which then signs the request instead of the account.
    type: path
  force:
    description:
      - Although nodes still serve it, or can't be asked.
    type: bool
    default: false
extends_documentation_fragment:
  - certcast.fleet.program
  - certcast.fleet.program.attributes
attributes:
  check_mode:
    support: full
    details:
      - Says from what is saved whether it is revoked already. No node is asked, and no CA. A I(certificate) is said to change.
  diff_mode:
    support: full
    details:
      - The state of the generation.
  async:
    support: full
"""

EXAMPLES = r"""
- name: The generation before this one is not needed any more
  certcast.fleet.revocation:
    name: wildcard
    generation: 6
    reason: superseded
  delegate_to: controller
  run_once: true
"""

RETURN = r"""
generation:
  description: Which generation it is. 0 is a certificate that certcast does not know.
  returned: when the program answered
  type: int
  sample: 6
leaf_sha256:
  description: Its fingerprint.
  returned: when the program answered
  type: str
  sample: 5c0f7e
revoked:
  description: Whether it is revoked.
  returned: when the program answered
  type: bool
  sample: true
holders:
  description: Who still has it, or may have.
  returned: when the program answered
  type: list
  elements: dict
  sample: [{node: web-02, kind: SERVES, address: "10.0.0.2:443"}]
failed_nodes:
  description: Their names.
  returned: when it was not revoked because of them
  type: list
  elements: str
  sample: [web-02]
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.certcast.fleet.plugins.module_utils import program
from ansible_collections.certcast.fleet.plugins.module_utils.long_runs import describe_holders


def generation_as_saved(module):
    """What is meant, as it is saved; None where there is none, or where it is a file."""
    if module.params["certificate"]:
        return None
    dummy, listed, dummy = program.run_or_fail(
        module, program.controller_argv(module, "certificates", *program.name_of(module, "name")))
    certificate = listed["certificates"][0]
    number = module.params["generation"] or certificate["generation"]
    if not number:
        module.fail_json(msg="%s has no generation yet" % module.params["name"])
    found = [generation for generation in certificate["generations"] if generation["generation"] == number]
    if not found:
        module.fail_json(msg="%s has no generation %d" % (module.params["name"], number))
    return found[0]


def check(module, generation):
    is_revoked = generation is not None and generation["state"] == "REVOKED"
    answer = {"revoked": is_revoked, "generation": 0, "leaf_sha256": "", "holders": []}
    if generation is not None:
        answer.update(generation=generation["generation"], leaf_sha256=generation["leaf_sha256"])
    return dict(answer, changed=not is_revoked)


def arguments_of(module):
    params = module.params
    arguments = ["revoke", "--reason"] + program.name_of(module, "reason")
    if params["generation"]:
        arguments += ["--generation", str(params["generation"])]
    for option, flag in (("certificate", "--certificate"), ("certificate_key", "--key")):
        if params[option]:
            arguments += [flag, os.path.abspath(params[option])]
    if params["force"]:
        arguments.append("--force")
    return arguments + program.name_of(module, "name")


def revoke(module):
    code, answer, dummy = program.run_or_fail(
        module, program.controller_argv(module, *arguments_of(module)), good=(program.DONE, program.INCOMPLETE))
    if code == program.INCOMPLETE:
        hint = "bring every node to another generation first: certcast.fleet.certificate"
        module.fail_json(
            msg="\n".join(["nothing was revoked, since it is or may be in use:"] + describe_holders(answer["holders"])
                          + ["Hint: %s" % hint]),
            hint=hint, failed_nodes=sorted(set(holder["node"] for holder in answer["holders"])), **answer)
    return dict(answer, changed=not answer["already_revoked"])


def main():
    spec = dict(
        name={"type": "str", "required": True},
        reason={"type": "str", "required": True},
        generation={"type": "int"},
        certificate={"type": "path"},
        certificate_key={"type": "path", "no_log": False},
        force={"type": "bool", "default": False},
    )
    spec.update(program.program_spec())
    module = AnsibleModule(
        argument_spec=spec,
        supports_check_mode=True,
        mutually_exclusive=[("generation", "certificate")],
        required_by={"certificate_key": ("certificate",)},
    )
    generation = generation_as_saved(module)
    result = check(module, generation) if module.check_mode else revoke(module)
    if module._diff:
        what = "%s %s: " % (module.params["name"], result["leaf_sha256"] or module.params["certificate"])
        before = generation["state"] if generation is not None else "unknown"
        after = "REVOKED" if result["changed"] or result["revoked"] else before
        result["diff"] = {"before": what + before + "\n", "after": what + after + "\n"}
    module.exit_json(**result)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: job
short_description: Follow a rollout that was started without waiting for it
version_added: 0.1.0
author:
  - The certcast developers (@certcast)
description:
  - Waits for what M(certcast.fleet.certificate) or M(certcast.fleet.rollout) began with I(wait=false), and answers and fails as
    they would have.
  - A job is known on the host that it was started on, to the user who started it. Its answer can be fetched once.
options:
  job:
    description:
      - C(job) of the answer.
    type: str
    required: true
  wait:
    description:
      - Whether to wait for the end. The lines of the waves are shown as they come.
    type: bool
    default: true
  timeout:
    description:
      - How many seconds to wait for the end; with I(wait=false), for news.
      - When they are over and I(wait=true), the program is asked to begin no further node. Those at work are finished and
        confirmed, then the task fails.
    type: int
    default: 3600
  offset:
    description:
      - Where in the lines of the program to begin, as an earlier answer said.
    type: int
    default: 0
attributes:
  check_mode:
    support: full
    details:
      - Waits all the same, since this changes nothing by itself.
  diff_mode:
    support: full
    details:
      - That of the task which started it, where that was run in diff mode.
  async:
    support: full
extends_documentation_fragment:
  - certcast.fleet.program.attributes
"""

EXAMPLES = r"""
- name: Begin
  certcast.fleet.certificate:
    name: wildcard
    wait: false
  register: begun
  delegate_to: controller
  run_once: true

- name: See it end
  certcast.fleet.job:
    job: "{{ begun.job }}"
  when: not begun.finished
  delegate_to: controller
  run_once: true
"""

RETURN = r"""
finished:
  description: Whether it has ended. The rest of the answer then is that of the task that started it.
  returned: always
  type: bool
  sample: true
lines:
  description: What the program wrote since I(offset); all of it once it has ended.
  returned: always
  type: list
  elements: str
  sample: ["wildcard: wave 1/2: 1/1, took 0.4s"]
offset:
  description: Where to begin the next time.
  returned: while it runs
  type: int
  sample: 34
news:
  description: Of C(lines), those behind I(offset).
  returned: when it has ended
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.certcast.fleet.plugins.module_utils import jobs, long_runs, program


def main():
    module = AnsibleModule(
        argument_spec=dict(
            job={"type": "str", "required": True},
            wait={"type": "bool", "default": True},
            timeout={"type": "int", "default": 3600},
            offset={"type": "int", "default": 0},
        ),
        supports_check_mode=True,
    )
    program.check_timeout(module)
    try:
        job = jobs.Job(module.params["job"])
    except jobs.JobError as error:
        module.fail_json(msg=str(error))
    if module.params["wait"]:
        long_runs.finish(module, job, module.params["timeout"])
    lines, offset, code = job.follow(module.params["offset"], module.params["timeout"])
    if code is None:
        module.exit_json(changed=False, finished=False, lines=lines, offset=offset)
    long_runs.end_with(module, job, code, news=lines)


if __name__ == "__main__":
    main()

# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type


class ModuleDocFragment(object):
    """What all modules that call the program on the controller have in common."""

    DOCUMENTATION = r"""
options:
  executable:
    description:
      - The program C(certcast) on the host on which the module runs, a path or a name to be looked for in C(PATH).
    type: path
    default: certcast
  config:
    description:
      - The controller's configuration there.
      - Without it the program takes C($CERTCAST_CONFIG), or C(/etc/certcast/certcast.yaml).
    type: path
requirements:
  - C(certcast) on the host on which the module runs, which is the controller. Use C(delegate_to) and C(run_once), or a
    play of its own for the controller.
notes:
  - No key, password or other secret is in the arguments of a process, in the answer or in a log.
  - Waves, canaries and the failure budget are the C(rollout) of the certificate in C(certcast.yaml).
    C(serial) and C(throttle) of the play don't apply, since one task on the controller is the whole rollout.
"""

    JOB = r"""
options:
  wait:
    description:
      - Whether to wait for the end. The lines of the waves are shown as they come.
      - With C(false) the task starts the program and ends. M(certcast.fleet.job) follows it later on.
    type: bool
    default: true
  timeout:
    description:
      - How many seconds to wait for the end.
      - When they are over, the program is asked to begin no further node. Those at work are finished and confirmed, then the
        task fails. The next run goes on with what is left.
    type: int
    default: 3600
  on_incomplete:
    description:
      - What it is when not every node has the certificate in the end, but nothing was halted (exit code 3 of the program).
        That is a node that could not be reached, a rollout that is paused, or one whose window is closed.
      - With C(warn) the task succeeds with a warning, and C(converged) of the answer is C(false).
      - A rollout that was halted by its failure budget is a failure in any case.
    type: str
    choices: [fail, warn]
    default: fail
"""

    ATTRIBUTES = r"""
attributes:
  check_mode:
    description: Can run in C(check_mode) and say what it would change without changing it.
  diff_mode:
    description: Says what was changed, or would be, when in diff mode.
  async:
    description: Supports C(async). With it nothing is shown before the end.
"""

    INFO = r"""
attributes:
  check_mode:
    support: full
    details:
      - Changes nothing.
  diff_mode:
    support: N/A
    details:
      - Changes nothing.
  async:
    support: full
"""

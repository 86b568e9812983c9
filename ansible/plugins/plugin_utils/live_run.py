# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
"""A task whose module would be silent for as long as a fleet takes.

The module is started with wait: false, which leaves a job on the controller; then certcast.fleet.job is asked for the
job's lines until it has ended. Each question waits on the controller for news, so a short rollout takes two of them.
"""
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import time

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()

JOB = "certcast.fleet.job"
DEFAULT_TIMEOUT = 3600
# What the answer of the task says once more.
SAID_LATER = ("certcast: ", "  hint: ", "warning: ")
# How long a question waits for news. Shorter than what keeps a connection through a firewall.
PATIENCE = 20


class LiveRun(ActionBase):
    """Base of the action plugins; MODULE is the task's own module."""

    MODULE = ""
    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp=None, task_vars=None):
        result = super(LiveRun, self).run(tmp, task_vars)
        del tmp
        self._task_vars = task_vars
        arguments = dict(self._task.args)
        is_silent = self._task.async_val or (self._task.check_mode and self.MODULE != JOB)
        if is_silent or not self._is_on(arguments.get("wait", True)):
            result.update(self._execute_module(module_name=self.MODULE, module_args=arguments, task_vars=task_vars,
                                               wrap_async=self._task.async_val))
            return result
        until = time.time() + self._seconds(arguments)
        if self.MODULE == JOB:
            begun = {"job": arguments.get("job"), "offset": arguments.get("offset", 0)}
        else:
            begun = self._ask(self.MODULE, dict(arguments, wait=False))
            self._show(begun)
        # A module that failed, or that had nothing to wait for, has said all there is.
        result.update(self._follow(begun, until) if begun.get("job") else begun)
        return result

    def _follow(self, begun, until):
        offset = begun["offset"]
        while time.time() < until:
            patience = int(max(1, min(PATIENCE, until - time.time())))
            answer = self._ask(JOB, {"job": begun["job"], "offset": offset, "wait": False, "timeout": patience})
            self._show(answer)
            if answer.get("failed") or answer.get("finished", True):
                answer.pop("news", None)
                return answer
            offset = answer["offset"]
        # It is asked to stop, and waited for.
        return self._ask(JOB, {"job": begun["job"], "wait": True, "timeout": 0})

    def _ask(self, module, arguments):
        return self._execute_module(module_name=module, module_args=arguments, task_vars=self._task_vars)

    def _show(self, answer):
        if self._task.no_log:
            return
        for line in answer.get("news", answer.get("lines", [])):
            if not line.startswith(SAID_LATER):
                display.display("  %s" % line)

    @staticmethod
    def _is_on(value):
        try:
            return boolean(value)
        except TypeError:
            # The module says what is wrong with it.
            return False

    @staticmethod
    def _seconds(arguments):
        try:
            return max(0, int(arguments.get("timeout", DEFAULT_TIMEOUT)))
        except (TypeError, ValueError):
            # The same.
            return DEFAULT_TIMEOUT

# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import pytest

from ansible.playbook.task import Task
from ansible.plugins.action import ActionBase
from ansible_collections.certcast.fleet.plugins.action import certificate, job
from ansible_collections.certcast.fleet.plugins.plugin_utils import live_run

NAME = "/tmp/certcast-job-x"
ENDED = {"finished": True, "changed": True, "lines": ["one", "two", "three"]}


class Clock(object):
    now = 0.0

    def time(self):
        return self.now


@pytest.fixture
def act(monkeypatch):
    """Runs an action plugin on a task; what modules answer comes from a list, what they were asked and shown is kept."""
    seen = type("Seen", (object,), {"asked": [], "shown": [], "answers": [], "clock": Clock()})()
    monkeypatch.setattr(live_run, "time", seen.clock)
    monkeypatch.setattr(live_run.display, "display", lambda line: seen.shown.append(line.strip()))
    monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})

    def execute(self, module_name, module_args, task_vars, wrap_async=False):
        seen.asked.append((module_name.split(".")[-1], module_args, wrap_async))
        seen.clock.now += module_args.get("timeout", 0) if module_name.endswith("job") else 0
        return dict(seen.answers.pop(0))

    monkeypatch.setattr(ActionBase, "_execute_module", execute)

    def run(plugin, arguments, check_mode=False, no_log=False, async_val=0):
        task = Task()
        task.args, task.check_mode, task.no_log, task.async_val = arguments, check_mode, no_log, async_val
        action = plugin.ActionModule.__new__(plugin.ActionModule)
        action._task = task
        return action.run(task_vars={})

    seen.run = run
    return seen


def test_what_the_answer_says_is_not_shown_before_it(act):
    act.answers = [{"finished": True, "failed": True, "msg": "no such file\nHint: write one",
                    "lines": ["warning: old", "certcast: no such file", "  hint: write one", "wildcard: web-1: FAILED"]}]
    act.run(certificate, {})
    assert act.shown == ["wildcard: web-1: FAILED"]


def test_lines_are_shown_as_they_come_and_once(act):
    act.answers = [
        {"job": NAME, "finished": False, "lines": ["one"], "offset": 4},
        {"finished": False, "lines": ["two"], "offset": 8},
        dict(ENDED, news=["three"]),
    ]
    assert act.run(certificate, {"name": "wildcard"}) == ENDED
    assert act.shown == ["one", "two", "three"]
    assert act.asked[0] == ("certificate", {"name": "wildcard", "wait": False}, False)
    assert [arguments["offset"] for dummy, arguments, dummy in act.asked[1:]] == [4, 8]


def test_what_ended_at_once_is_the_answer(act):
    act.answers = [ENDED]
    assert act.run(certificate, {}) == ENDED
    assert act.shown == ["one", "two", "three"] and len(act.asked) == 1


def test_what_the_module_refuses_is_the_answer(act):
    act.answers = [{"failed": True, "msg": "value of on_incomplete must be one of: fail, warn"}]
    assert act.run(certificate, {"on_incomplete": "no", "timeout": "soon"})["failed"]
    assert len(act.asked) == 1


def test_a_job_that_can_not_be_asked_ends_it(act):
    act.answers = [{"job": NAME, "finished": False, "lines": [], "offset": 0}, {"failed": True, "msg": "UNREACHABLE"}]
    assert act.run(certificate, {})["msg"] == "UNREACHABLE"


def test_after_the_timeout_it_is_asked_to_stop(act):
    running = {"finished": False, "lines": [], "offset": 0}
    act.answers = [dict(running, job=NAME), running, running, running, {"failed": True, "msg": "not over", "finished": True}]
    assert act.run(certificate, {"timeout": 50})["msg"] == "not over"
    assert [arguments["timeout"] for dummy, arguments, dummy in act.asked[1:]] == [20, 20, 10, 0]
    assert act.asked[-1][1] == {"job": NAME, "wait": True, "timeout": 0}


@pytest.mark.parametrize("options, more", [
    ({"wait": False}, {}), ({"wait": "no"}, {}), ({"wait": "perhaps"}, {}), ({}, {"check_mode": True}),
    ({}, {"async_val": 30}),
])
def test_where_nobody_waits_the_module_is_all(act, options, more):
    act.answers = [{"changed": True}]
    act.run(certificate, options, **more)
    assert act.asked == [("certificate", options, more.get("async_val", 0))]


def test_no_log_shows_nothing(act):
    act.answers = [ENDED]
    act.run(certificate, {}, no_log=True)
    assert act.shown == []


def test_a_job_is_followed_in_check_mode_too(act):
    act.answers = [dict(ENDED, news=["three"])]
    assert act.run(job, {"job": NAME, "offset": 8}, check_mode=True) == ENDED
    assert act.asked == [("job", {"job": NAME, "offset": 8, "wait": False, "timeout": 20}, False)]
    assert act.shown == ["three"]

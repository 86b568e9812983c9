# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import pytest

from ansible_collections.certcast.fleet.plugins.modules import rollout, rollout_info
from ansible_collections.certcast.fleet.tests.unit import answers


def standing(state, outcome="INSTALLED"):
    return {"rollout": answers.rollout([answers.node("web-1", outcome)], state), "requested": None}


@pytest.mark.parametrize("options, argv", [
    ({"action": "pause"}, ["rollout", "pause"]),
    ({"action": "resume", "id": "wildcard"}, ["rollout", "resume", "wildcard"]),
    ({"action": "abort", "on_halt": "keep"}, ["rollout", "abort", "--keep"]),
    ({"action": "abort", "on_halt": "revert", "name": "wildcard"}, ["rollout", "abort", "wildcard", "--revert"]),
    ({"action": "undo"}, ["rollout", "undo"]),
    ({"action": "retry"}, ["rollout", "retry"]),
    ({"action": "resume", "now": True}, ["rollout", "resume", "--now"]),
])
def test_looks_and_then_does(fake, run, options, argv):
    fake.answer(["status"], standing("RUNNING"), code=3)
    fake.answer([], dict(standing("COMPLETED"), text="", pending=False))
    run(rollout, **options)
    assert fake.argvs[1] == ["-o", "json"] + argv
    assert fake.argvs[0][:4] == ["-o", "json", "rollout", "status"]


def test_changed_when_it_stands_otherwise_than_before(fake, run):
    fake.answer(["status"], standing("RUNNING"), code=3)
    fake.answer(["pause"], dict(standing("PAUSED"), text="it is PAUSED", pending=False))
    answer = run(rollout, action="pause", diff=True)
    assert (answer["failed"], answer["changed"], answer["text"]) == (False, True, "it is PAUSED")
    assert answer["diff"] == {"before": "wildcard-2-1: RUNNING\n", "after": "wildcard-2-1: PAUSED\n"}


def test_ok_when_it_stood_that_way(fake, run):
    fake.answer(["status"], standing("PAUSED"), code=3)
    fake.answer(["pause"], dict(standing("PAUSED"), text="it was paused already", pending=False))
    assert run(rollout, action="pause")["changed"] is False


def test_a_retry_that_found_nothing_is_ok(fake, run):
    fake.answer(["status"], standing("COMPLETED"))
    fake.answer(["retry"], dict(standing("COMPLETED"), text="there is nothing to retry", pending=False))
    assert run(rollout, action="retry")["changed"] is False


def test_a_retry_is_a_rollout_of_its_own(fake, run):
    fake.answer(["status"], standing("REVERTED", "REVERTED"), code=4)
    new = dict(standing("COMPLETED"), text="it is for what wildcard-2-1 left", pending=False)
    new["rollout"]["id"] = "wildcard-2-2"
    fake.answer(["retry"], new)
    assert run(rollout, action="retry")["changed"] is True


def test_what_the_program_refuses_is_a_failure(fake, run):
    fake.answer(["status"], standing("COMPLETED"))
    fake.answer(["pause"], code=1, err="certcast: rollout wildcard-2-1 is COMPLETED: it has ended\n")
    answer = run(rollout, action="pause")
    assert answer["failed"] and answer["msg"] == "rollout wildcard-2-1 is COMPLETED: it has ended"


def test_a_request_that_is_not_met_yet_fails_and_stays(fake, run):
    fake.answer(["status"], standing("RUNNING"), code=3)
    fake.answer(["pause"], dict(standing("RUNNING"), text="asked; process 7 has it", pending=True), code=3)
    answer = run(rollout, action="pause")
    assert answer["failed"] and "asked; process 7 has it" in answer["msg"] and "stays" in answer["hint"]


@pytest.mark.parametrize("options, msg", [
    ({"action": "undo", "on_halt": "keep"}, "on_halt is for action: abort, not for undo"),
    ({"action": "pause", "now": True}, "now is for action: resume or retry, not for pause"),
])
def test_options_of_other_actions_are_refused(fake, run, options, msg):
    answer = run(rollout, **options)
    assert answer["failed"] and answer["msg"] == msg and fake.calls == []


@pytest.mark.parametrize("action, state, outcome, changed", [
    ("pause", "RUNNING", "INSTALLED", True),
    ("pause", "PAUSED", "INSTALLED", False),
    ("resume", "PAUSED", "OUTCOME_UNSPECIFIED", True),
    ("resume", "COMPLETED", "INSTALLED", False),
    ("abort", "SOAKING", "INSTALLED", True),
    ("abort", "REVERTED", "REVERTED", False),
    ("undo", "COMPLETED", "INSTALLED", True),
    ("undo", "REVERTED", "REVERTED", False),
    ("retry", "INCOMPLETE", "UNREACHABLE", True),
    ("retry", "COMPLETED", "UNCHANGED", False),
])
def test_check_mode_says_from_the_record_what_there_is_to_do(fake, run, action, state, outcome, changed):
    fake.answer(["status"], standing(state, outcome), code=3)
    answer = run(rollout, action=action, check_mode=True, diff=True)
    assert (answer["failed"], answer["changed"]) == (False, changed)
    assert (answer["diff"]["before"] != answer["diff"]["after"]) == changed
    assert [argv[3] for argv in fake.argvs] == ["status"]


def test_check_mode_without_a_rollout_fails(fake, run):
    fake.answer(["status"], code=1, err="certcast: there was no rollout yet\n")
    assert run(rollout, action="pause", check_mode=True)["failed"]


@pytest.mark.parametrize("code", [0, 3, 4])
def test_info_shows_a_rollout_however_it_stands(fake, run, code):
    fake.answer(["history"], {"rollouts": [answers.rollout([])]})
    fake.answer(["status"], standing("HALTED", "FAILED"), code=code)
    answer = run(rollout_info, id="wildcard")
    assert (answer["failed"], answer["changed"]) == (False, False)
    assert answer["rollout"]["state"] == "HALTED" and "requested" not in answer
    assert fake.argvs == [["-o", "json", "rollout", verb, "wildcard"] for verb in ("history", "status")]


def test_info_before_the_first_rollout_is_empty(fake, run):
    fake.answer(["history"], {"rollouts": []})
    answer = run(rollout_info)
    assert (answer["failed"], answer["rollout"], answer["rollouts"]) == (False, {}, [])

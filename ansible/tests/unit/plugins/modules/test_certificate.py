# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os

import pytest

from ansible_collections.certcast.fleet.plugins.module_utils import jobs, long_runs
from ansible_collections.certcast.fleet.plugins.modules import certificate, job
from ansible_collections.certcast.fleet.tests.unit import answers

LOOK_BEFORE = certificate.rollouts_before


@pytest.fixture(autouse=True)
def nothing_unfinished(monkeypatch):
    """So that the calls of a test are those of its subject."""
    monkeypatch.setattr(certificate, "rollouts_before", lambda module: {})


STATUS = answers.status([("web-1", answers.OLD), ("web-2", "")])


@pytest.mark.parametrize("options, argv", [
    ({}, ["apply"]),
    ({"name": "wildcard"}, ["apply", "wildcard"]),
    ({"name": "wildcard", "force_renewal": True, "now": True}, ["apply", "wildcard", "--force-renewal", "--now"]),
    ({"wait_for_window": True}, ["apply", "--wait"]),
    ({"name": "wildcard", "compromised": True}, ["replace", "wildcard", "--compromised"]),
])
def test_calls_the_program_with_json_output(fake, run, options, argv):
    fake.answer([], answers.apply())
    run(certificate, config="/etc/certcast/certcast.yaml", **options)
    assert fake.argvs == [["--config", "/etc/certcast/certcast.yaml", "-o", "json"] + argv]


def test_a_relative_configuration_is_of_the_directory_of_the_task(fake, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fake.answer([], answers.apply())
    run(certificate, config="certcast.yaml")
    assert fake.argvs[0][:2] == ["--config", str(tmp_path / "certcast.yaml")]


def test_changed_when_a_node_serves_another_certificate(fake, run):
    fake.answer([], answers.apply([answers.node("web-1")]))
    answer = run(certificate)
    assert (answer["failed"], answer["changed"], answer["converged"]) == (False, True, True)
    assert answer["rollouts"][0]["nodes"][0]["served_sha256"] == answers.NEW
    assert answer["rollouts"][0]["generation"] == 2


def test_ok_when_there_was_nothing_to_do(fake, run):
    fake.answer([], answers.apply())
    answer = run(certificate)
    assert (answer["failed"], answer["changed"]) == (False, False)


def test_what_an_earlier_run_of_the_rollout_did_is_no_change(fake, run, monkeypatch):
    monkeypatch.setattr(certificate, "rollouts_before", LOOK_BEFORE)
    paused = [answers.node("web-1"), answers.node("web-2", "OUTCOME_UNSPECIFIED")]
    fake.answer(["history"], {"rollouts": [answers.rollout(paused, state="PAUSED")]})
    fake.answer([], answers.apply(paused, state="PAUSED"), code=3)
    assert run(certificate)["changed"] is False
    fake.answers.pop()
    fake.answer([], answers.apply([answers.node("web-1"), answers.node("web-2")]))
    assert run(certificate)["changed"] is True


def test_what_is_wrong_with_the_configuration_is_said_once(fake, run, monkeypatch):
    monkeypatch.setattr(certificate, "rollouts_before", LOOK_BEFORE)
    fake.answer([], code=2, err="certcast: certcast.yaml:3:1: unknown key\n")
    answer = run(certificate)
    assert answer["msg"] == "certcast.yaml:3:1: unknown key"
    assert [argv[-1] for argv in fake.argvs] == ["history", "apply"]


def test_a_certificate_that_nobody_brought_yet_has_a_hint_of_its_own(fake, run):
    answer = answers.apply([])
    answer["certificates"][0].update(generation="0", renewReason="not imported yet")
    answer["rollouts"] = []
    fake.answer([], answer, code=3)
    assert run(certificate)["hint"] == "bring it with certcast.fleet.import_certificate"


@pytest.mark.parametrize("code, text", [(1, "exited with 1"), (137, "was killed by signal 9")])
def test_a_program_that_says_nothing_is_named(fake, run, code, text):
    fake.answer([], code=code)
    assert run(certificate)["msg"] == "%s %s" % (fake.path, text)


def test_a_timeout_is_not_negative(fake, run):
    assert run(certificate, timeout=-1)["msg"] == "timeout: found -1, expected a number of seconds, 0 or more"
    assert fake.calls == []


def test_ok_when_every_node_had_it(fake, run):
    fake.answer([], answers.apply([answers.node("web-1", "UNCHANGED")]))
    assert run(certificate)["changed"] is False


def test_a_new_generation_is_a_change_though_it_reached_nobody(fake, run):
    fake.answer([], answers.apply([answers.node("web-1", "UNREACHABLE", "NO_ROUTE")], issued=True, state="INCOMPLETE"), code=3)
    answer = run(certificate)
    assert (answer["failed"], answer["changed"], answer["failed_nodes"]) == (True, True, ["web-1"])


def test_a_halt_names_the_node_that_caused_it_with_reason_and_hint(fake, run):
    fake.answer([], answers.apply([
        answers.node("web-1", "REVERTED", "ROLLOUT_HALTED"),
        answers.node("web-2", "REVERTED", "CHECK_FAILED", step="check", detail="nginx exited with 1",
                     stderr="unknown directive", hint="run nginx -t on the host"),
    ], state="REVERTED", because="1 failed, max_failures is 0"), code=4)
    answer = run(certificate)
    assert answer["failed"] and not answer["changed"] and not answer["converged"]
    assert answer["failed_nodes"] == ["web-2"]
    lines = answer["msg"].splitlines()
    assert lines[0] == "wildcard: rollout wildcard-2-1 is REVERTED, 0 of 2 nodes serve generation 2"
    assert lines[1] == "because: 1 failed, max_failures is 0"
    assert lines[2] == "web-2: REVERTED CHECK_FAILED in check: nginx exited with 1"
    assert lines[3:5] == ["  | unknown directive", "  hint: run nginx -t on the host"]
    assert lines[5].startswith("web-1: REVERTED ROLLOUT_HALTED")
    assert "mend" in answer["hint"] and answer["hint"] in lines[-1]


def test_of_many_nodes_the_first_are_named(fake, run):
    nodes = [answers.node("web-%02d" % i, "UNREACHABLE", "NO_ROUTE") for i in range(30)]
    fake.answer([], answers.apply(nodes, state="INCOMPLETE"), code=3)
    msg = run(certificate)["msg"]
    assert "web-19: UNREACHABLE" in msg and "web-20" not in msg and "and 10 more" in msg


def test_incomplete_may_be_a_warning(fake, run):
    fake.answer([], answers.apply([answers.node("web-1", "UNREACHABLE", "NO_ROUTE")], state="INCOMPLETE"), code=3)
    answer = run(certificate, on_incomplete="warn")
    assert not answer["failed"] and not answer["converged"]
    assert "web-1: UNREACHABLE NO_ROUTE" in answer["warnings"][0]


def test_a_halt_is_never_a_warning(fake, run):
    fake.answer([], answers.apply([answers.node("web-1", "FAILED", "NO_SPACE")], state="HALTED"), code=4)
    assert run(certificate, on_incomplete="warn")["failed"]


def test_a_closed_window_says_when_it_opens(fake, run):
    fake.answer([], answers.apply([answers.node("web-1", "OUTCOME_UNSPECIFIED")], state="WAITING_FOR_WINDOW",
                                  windowOpens="Mon 22:00 Europe/Berlin"), code=3)
    answer = run(certificate)
    assert "its window opens Mon 22:00 Europe/Berlin" in answer["msg"]
    assert "within the window" in answer["hint"]


def test_a_certificate_that_was_never_imported_is_named(fake, run):
    fake.answer([], {"certificates": [dict(answers.certificate(), generation="0", renewReason="not imported yet")],
                     "rollouts": []}, code=3)
    assert "wildcard: there is none yet: not imported yet" in run(certificate)["msg"]


def test_an_error_is_the_programs_own_with_its_hint(fake, run):
    fake.answer([], code=2, err="certcast: /etc/certcast/certcast.yaml:7:3: found nodez\n  hint: did you mean nodes?\n")
    answer = run(certificate)
    assert answer["failed"] and answer["exit_code"] == 2 and not answer["changed"]
    assert answer["msg"] == "/etc/certcast/certcast.yaml:7:3: found nodez\nHint: did you mean nodes?"
    assert answer["hint"] == "did you mean nodes?"


def test_a_program_that_is_no_certcast_is_quoted(fake, run):
    fake.answer([], code=127, err="error while loading shared libraries: libgrpc++.so.1.51\n")
    answer = run(certificate)
    assert answer["failed"] and "libgrpc++.so.1.51" in answer["msg"]


def test_an_answer_that_is_not_json_is_said_to_be_none(fake, run):
    fake.answer([], "nothing to do\n")
    answer = run(certificate)
    assert answer["failed"] and "not JSON" in answer["msg"]


def test_without_the_program_it_says_where_it_belongs(run):
    answer = run(certificate, executable="/nowhere/certcast")
    assert answer["failed"] and "/nowhere/certcast" in answer["msg"] and "delegate_to" in answer["msg"]


@pytest.mark.parametrize("name", ["--dry-run", "-o"])
def test_a_name_is_never_a_flag(fake, run, name):
    answer = run(certificate, name=name)
    assert answer["failed"] and name in answer["msg"] and fake.calls == []


@pytest.mark.parametrize("options, words", [
    ({"compromised": True}, "name"),
    ({"now": True, "wait_for_window": True}, "mutually exclusive"),
    ({"compromised": True, "name": "wildcard", "force_renewal": True}, "mutually exclusive"),
    ({"on_incomplete": "ignore"}, "on_incomplete"),
    ({"certificat": "wildcard"}, "certificat"),
])
def test_wrong_options_are_refused_before_anything_is_called(fake, run, options, words):
    answer = run(certificate, **options)
    assert answer["failed"] and words in answer["msg"] and fake.calls == []


def test_check_mode_is_a_dry_run(fake, run):
    fake.answer(["--dry-run"], dict(answers.apply([answers.node("web-1", "OUTCOME_UNSPECIFIED")]), changesPending=True), code=5)
    answer = run(certificate, check_mode=True, name="wildcard", wait_for_window=True)
    assert fake.argvs == [["-o", "json", "apply", "wildcard", "--dry-run"]]
    assert (answer["failed"], answer["changed"]) == (False, True)


def test_check_mode_is_ok_when_there_is_nothing_to_do(fake, run):
    fake.answer(["--dry-run"], answers.apply())
    assert run(certificate, check_mode=True)["changed"] is False


def test_check_mode_warns_of_what_would_go_wrong(fake, run):
    fake.answer(["--dry-run"], answers.apply([
        answers.node("web-1", "OUTCOME_UNSPECIFIED", obstacles=["/etc/nginx/tls is not there"]),
        answers.node("web-2", "OUTCOME_UNSPECIFIED", "NO_ROUTE", detail="connection refused"),
    ]), code=5, err="warning: the identity of web-3 expires soon\n")
    assert run(certificate, check_mode=True)["warnings"] == [
        "the identity of web-3 expires soon", "web-1 would refuse it: /etc/nginx/tls is not there",
        "web-2 can't be reached now: NO_ROUTE: connection refused"]


def test_check_mode_of_a_replacement_sees_that_there_is_such_a_certificate(fake, run):
    fake.answer(["wildcart"], code=2, err="certcast: there is no certificate wildcart\n")
    fake.answer(["certificates"], answers.certificates())
    answer = run(certificate, check_mode=True, name="wildcart", compromised=True)
    assert answer["failed"] and answer["msg"] == "there is no certificate wildcart"
    assert run(certificate, check_mode=True, name="wildcard", compromised=True)["changed"] is True
    assert not any("replace" in argv for argv in fake.argvs)


def test_what_a_node_serves_that_is_not_reached_is_unknown(fake, run):
    away = answers.status([("web-1", "")])
    away["nodes"][0]["state"] = "UNREACHABLE"
    fake.answer(["status"], away, code=3)
    fake.answer(["certificates"], answers.certificates())
    fake.answer(["apply"], answers.apply([answers.node("web-1", "UNREACHABLE", "NO_ROUTE")], state="INCOMPLETE"), code=3)
    diff = run(certificate, diff=True)["diff"]
    assert diff["before"] == diff["after"] == "web-1 wildcard: sha256 unknown, notAfter unknown\n"


def test_diff_has_a_line_a_node_with_fingerprint_and_expiry(fake, run):
    fake.answer(["status"], STATUS)
    fake.answer(["certificates"], answers.certificates())
    fake.answer(["apply"], answers.apply([answers.node("web-1"), answers.node("web-2")]))
    diff = run(certificate, diff=True)["diff"]
    assert diff["before"] == ("web-1 wildcard: sha256 %s, notAfter %s\nweb-2 wildcard: sha256 none, notAfter none\n"
                              % (answers.OLD, answers.OLD_EXPIRY))
    assert diff["after"] == "".join("web-%d wildcard: sha256 %s, notAfter %s\n" % (i, answers.NEW, answers.EXPIRY)
                                    for i in (1, 2))


def test_diff_of_a_node_that_went_back_is_none(fake, run):
    fake.answer(["status"], STATUS)
    fake.answer(["certificates"], answers.certificates())
    fake.answer(["apply"], answers.apply([answers.node("web-1", "REVERTED", "PROBE_FAILED")], state="REVERTED"), code=4)
    answer = run(certificate, diff=True)
    assert answer["diff"]["before"] == answer["diff"]["after"]


def test_diff_in_check_mode_of_a_certificate_that_is_to_be_obtained(fake, run):
    fake.answer(["status"], STATUS, code=3)
    fake.answer(["certificates"], answers.certificates())
    fake.answer(["--dry-run"], answers.apply([answers.node("web-1", "OUTCOME_UNSPECIFIED")], issued=True), code=5)
    diff = run(certificate, check_mode=True, diff=True)["diff"]
    assert "web-1 wildcard: sha256 of a new certificate" in diff["after"]
    assert "web-2 wildcard: sha256 none" in diff["after"]
    assert all(word not in ("apply",) or "--dry-run" in argv for argv in fake.argvs for word in argv)


def test_without_waiting_it_leaves_a_job_that_ends_later(fake, run, tmp_path):
    hold = tmp_path / "hold"
    hold.write_text("")
    fake.answer([], answers.apply([answers.node("web-1")]), err="wildcard: wave 1/1: 1/1, took 0.1s\n", hold=str(hold))
    begun = run(certificate, wait=False)
    assert (begun["failed"], begun["changed"], begun["finished"]) == (False, False, False)
    assert os.stat(begun["job"]).st_mode & 0o777 == 0o700

    lines = begun["lines"] + run(job, executable=None, job=begun["job"], offset=0, wait=False, timeout=5)["lines"]
    assert "wildcard: wave 1/1: 1/1, took 0.1s" in lines

    hold.unlink()
    ended = run(job, executable=None, job=begun["job"])
    assert (ended["failed"], ended["changed"], ended["finished"]) == (False, True, True)
    assert not os.path.exists(begun["job"])
    assert len(fake.calls) == 1


def test_without_waiting_what_ends_at_once_is_answered_at_once(fake, run, tmp_path):
    fake.answer([], code=2, err="certcast: no such certificate\n")
    answer = run(certificate, wait=False)
    assert answer["failed"] and answer["msg"] == "no such certificate"
    assert not [name for name in os.listdir(str(tmp_path)) if name.startswith(jobs.PREFIX)]


def test_a_job_fails_as_the_task_would_have(fake, run, tmp_path):
    hold = tmp_path / "hold"
    hold.write_text("")
    fake.answer([], answers.apply([answers.node("web-1", "FAILED", "NO_SPACE")], state="HALTED"), code=4, hold=str(hold))
    begun = run(certificate, wait=False)
    hold.unlink()
    ended = run(job, executable=None, job=begun["job"])
    assert ended["failed"] and "web-1: FAILED NO_SPACE" in ended["msg"]


@pytest.mark.parametrize("name", ["/tmp/certcast-job-gone", "certcast-job-relative", "/etc/passwd", ""])
def test_a_job_that_is_none_is_refused(run, name):
    answer = run(job, executable=None, job=name)
    assert answer["failed"] and (name or "job") in answer["msg"]


def test_a_timeout_interrupts_the_program_and_fails(fake, run, tmp_path, monkeypatch):
    monkeypatch.setattr(long_runs, "GRACE", 20)
    # The fake ends by the signal, as anything does that has no handler.
    hold = tmp_path / "hold"
    hold.write_text("")
    fake.answer([], answers.apply([answers.node("web-1")]), hold=str(hold))
    answer = run(certificate, timeout=1)
    assert answer["failed"] and "not over within the timeout, so no further node was begun" in answer["msg"]


def test_a_job_whose_program_was_killed_is_said_to_be_unknown(fake, run, tmp_path):
    hold = tmp_path / "hold"
    hold.write_text("")
    fake.answer([], answers.apply([answers.node("web-1")]), hold=str(hold))
    begun = run(certificate, wait=False)
    os.killpg(jobs.Job(begun["job"]).about["pid"], 9)
    ended = run(job, executable=None, job=begun["job"])
    assert ended["failed"] and "was killed" in ended["msg"]


def replaced(code_phase="DONE", **more):
    return dict({"certificate": answers.certificate(True), "phase": code_phase, "startedAt": None,
                 "rollouts": [answers.rollout([answers.node("web-1")])], "converged": 1, "total": 1, "endpointsOk": 0,
                 "endpointsTotal": 0, "nodes": [], "endpoints": [], "holders": [], "warnings": [],
                 "revocations": [{"generation": "1", "leafSha256": answers.OLD, "revoked": True, "revokedAt": None,
                                  "failure": None}]}, **more)


def test_a_key_that_is_out_is_replaced(fake, run):
    fake.answer(["replace"], replaced())
    answer = run(certificate, name="wildcard", compromised=True)
    assert (answer["failed"], answer["changed"], answer["converged"]) == (False, True, True)
    assert answer["revocations"][0]["generation"] == 1


def test_what_keeps_the_old_key_from_being_revoked_is_named(fake, run):
    fake.answer(["replace"], replaced(
        "ROLLING_OUT", rollouts=[answers.rollout([answers.node("web-2", "UNREACHABLE", "NO_ROUTE")], "INCOMPLETE")],
        nodes=[{"name": "web-2", "certificate": "wildcard", "state": "UNREACHABLE", "detail": "no route"}],
        endpoints=[{"node": "web-2", "address": "10.0.0.2:443", "ok": False, "servedSha256": answers.OLD, "detail": ""}],
        holders=[{"node": "web-2", "kind": "SERVES", "generation": "1", "leafSha256": answers.OLD, "address": "10.0.0.2:443",
                  "serverName": "", "detail": ""}],
        revocations=[{"generation": "1", "leafSha256": answers.OLD, "revoked": False, "revokedAt": None, "failure": None}],
    ), code=3)
    answer = run(certificate, name="wildcard", compromised=True)
    assert answer["failed"] and answer["failed_nodes"] == ["web-2"]
    for words in ("web-2: UNREACHABLE NO_ROUTE", "web-2: UNREACHABLE no route", "web-2: %s at 10.0.0.2:443" % answers.OLD,
                  "web-2 at 10.0.0.2:443 serves it", "generation 1 is not revoked"):
        assert words in answer["msg"]

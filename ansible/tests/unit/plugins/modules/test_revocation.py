# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import pytest

from ansible_collections.certcast.fleet.plugins.modules import revocation
from ansible_collections.certcast.fleet.tests.unit import answers


def revoked(already=False, holders=()):
    return {"certificate": "wildcard", "generation": "2", "leafSha256": answers.NEW, "reason": "superseded",
            "revoked": not holders, "revokedAt": None, "alreadyRevoked": already, "holders": list(holders)}


def test_revokes_a_generation(fake, run):
    fake.answer(["certificates"], answers.certificates())
    fake.answer(["revoke"], revoked())
    answer = run(revocation, name="wildcard", reason="superseded", generation=2, force=True, diff=True)
    assert (answer["failed"], answer["changed"], answer["revoked"]) == (False, True, True)
    assert fake.argvs[1] == ["-o", "json", "revoke", "--reason", "superseded", "--generation", "2", "--force", "wildcard"]
    assert answer["diff"]["before"].endswith(": WANTED\n") and answer["diff"]["after"].endswith(": REVOKED\n")


def test_what_is_revoked_already_is_ok(fake, run):
    fake.answer(["certificates"], answers.certificates())
    fake.answer(["revoke"], revoked(already=True))
    assert run(revocation, name="wildcard", reason="1", generation=1)["changed"] is False


def test_who_still_has_it_is_named_and_nothing_was_revoked(fake, run):
    holder = {"node": "web-2", "kind": "SERVES", "generation": "2", "leafSha256": answers.NEW, "address": "10.0.0.2:443",
              "serverName": "", "detail": ""}
    fake.answer(["certificates"], answers.certificates())
    fake.answer(["revoke"], revoked(holders=[holder, dict(holder, node="web-3", kind="UNKNOWN", address="", detail="no route")]),
                code=3)
    answer = run(revocation, name="wildcard", reason="superseded")
    assert answer["failed"] and answer["failed_nodes"] == ["web-2", "web-3"]
    assert "web-2 at 10.0.0.2:443 serves it" in answer["msg"] and "web-3 can't be asked: no route" in answer["msg"]


def test_of_a_file_the_key_is_handed_on_by_name(fake, run):
    fake.answer(["revoke"], revoked())
    run(revocation, name="wildcard", reason="keyCompromise", certificate="/found.pem", certificate_key="/found.key")
    assert fake.argvs == [["-o", "json", "revoke", "--reason", "keyCompromise", "--certificate", "/found.pem", "--key",
                           "/found.key", "wildcard"]]


@pytest.mark.parametrize("generation, changed", [(1, False), (2, True), (None, True)])
def test_check_mode_reads_what_is_saved(fake, run, generation, changed):
    fake.answer(["certificates"], answers.certificates())
    options = {} if generation is None else {"generation": generation}
    answer = run(revocation, check_mode=True, name="wildcard", reason="superseded", **options)
    assert (answer["failed"], answer["changed"]) == (False, changed)
    assert [argv[2] for argv in fake.argvs] == ["certificates"]


def test_a_generation_that_is_none_is_refused(fake, run):
    fake.answer(["certificates"], answers.certificates())
    answer = run(revocation, name="wildcard", reason="superseded", generation=9)
    assert answer["failed"] and "wildcard has no generation 9" in answer["msg"]
    assert [argv[2] for argv in fake.argvs] == ["certificates"]


@pytest.mark.parametrize("options, words", [
    ({"generation": 1, "certificate": "/found.pem"}, "mutually exclusive"),
    ({"certificate_key": "/found.key"}, "certificate"),
])
def test_wrong_options_are_refused(fake, run, options, words):
    answer = run(revocation, name="wildcard", reason="superseded", **options)
    assert answer["failed"] and words in answer["msg"] and fake.calls == []


def test_a_certificate_without_generations_is_named(fake, run):
    listed = answers.certificates()
    listed["certificates"][0].update(generation="0", generations=[])
    fake.answer(["certificates"], listed)
    assert run(revocation, name="wildcard", reason="superseded")["msg"] == "wildcard has no generation yet"

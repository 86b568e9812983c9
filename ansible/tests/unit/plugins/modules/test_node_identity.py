# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import time

import pytest

from ansible_collections.certcast.fleet.plugins.modules import node_identity

CSR = "-----BEGIN CERTIFICATE REQUEST-----\nMIHs\n-----END CERTIFICATE REQUEST-----\n"
IDENTITY = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def inventory(days=None):
    if days is None:
        return {"node": "web-1", "fleetId": "", "certificates": [], "services": [], "identityNotAfter": None}
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * 86400))
    return dict(inventory(), fleetId="0b9f", identityNotAfter=end)


@pytest.mark.parametrize("days, options, due", [
    (None, {}, True),
    (25, {}, False),
    (9, {}, True),
    (-1, {}, True),
    (9, {"renew_before": 5}, False),
    (25, {"force_renewal": True}, True),
])
def test_a_request_is_made_when_one_is_due(fake, run, days, options, due):
    fake.answer(["status"], inventory(days))
    fake.answer(["csr"], CSR)
    answer = run(node_identity, action="csr", config="/etc/certcast/node.yaml", **options)
    assert (answer["failed"], answer["changed"], answer["due"]) == (False, False, due)
    assert answer["csr"] == (CSR if due else "")
    config = ["--config", "/etc/certcast/node.yaml"]
    assert fake.argvs == [config + ["status", "-o", "json"]] + ([config + ["csr"]] if due else [])


def test_check_mode_makes_no_key(fake, run):
    fake.answer(["status"], inventory())
    answer = run(node_identity, action="csr", check_mode=True)
    assert (answer["due"], answer["csr"]) == (True, "")
    assert [argv[0] for argv in fake.argvs] == ["status"]


def test_the_controller_signs_what_comes_on_its_standard_input(fake, run):
    fake.answer(["sign"], {"name": "web-1", "identityPem": IDENTITY, "notAfter": "2026-12-22T10:00:00Z"})
    answer = run(node_identity, action="sign", name="web-1", csr=CSR)
    assert (answer["failed"], answer["changed"], answer["identity"]) == (False, True, IDENTITY)
    assert fake.argvs == [["-o", "json", "nodes", "sign", "web-1"]]
    assert fake.calls[0]["stdin"] == CSR


@pytest.mark.parametrize("check_mode, csr", [(True, CSR), (False, "")])
def test_nothing_is_signed_in_check_mode_or_without_a_request(fake, run, check_mode, csr):
    answer = run(node_identity, action="sign", name="web-1", csr=csr, check_mode=check_mode)
    assert (answer["failed"], answer["changed"], answer["identity"]) == (False, check_mode, "")
    assert fake.calls == []


def test_a_node_that_is_not_configured_is_named(fake, run):
    fake.answer(["sign"], code=2, err="certcast: there is no node web-9\n  hint: did you mean web-1?\n")
    assert run(node_identity, action="sign", name="web-9", csr=CSR)["msg"] == (
        "there is no node web-9\nHint: did you mean web-1?")


def test_accept_is_a_change_and_its_diff_has_no_key(fake, run, monkeypatch):
    fake.answer(["accept"], "")
    fake.answer(["status"], inventory(30))
    seen = [inventory(), inventory(30)]
    monkeypatch.setattr(node_identity, "inventory", lambda module: {
        "fleet_id": seen[0]["fleetId"], "not_after": seen.pop(0)["identityNotAfter"] or ""})
    answer = run(node_identity, action="accept", identity=IDENTITY, diff=True)
    assert (answer["failed"], answer["changed"]) == (False, True)
    assert answer["diff"]["before"] == "fleet none, identity until never\n"
    assert answer["diff"]["after"].startswith("fleet 0b9f, identity until 20")
    assert fake.calls[0]["stdin"] == IDENTITY


def test_the_same_identity_again_is_ok(fake, run):
    fake.answer(["status"], inventory(30))
    fake.answer(["accept"], "")
    assert run(node_identity, action="accept", identity=IDENTITY)["changed"] is False


@pytest.mark.parametrize("force", [True, False])
def test_another_fleet_is_left_only_by_force(fake, run, force):
    fake.answer(["status"], inventory(30))
    fake.answer(["--force"], "")
    fake.answer(["accept"], code=1, err="certcast-node: this node belongs to fleet 0b9f\n  hint: --force\n")
    answer = run(node_identity, action="accept", identity=IDENTITY, force=force)
    assert answer["failed"] is not force
    if not force:
        assert answer["msg"] == "this node belongs to fleet 0b9f\nHint: --force"


@pytest.mark.parametrize("options", [{"action": "sign", "name": "web-1"}, {"action": "accept"}, {"action": "renew"}])
def test_wrong_options_are_refused(fake, run, options):
    assert run(node_identity, **options)["failed"] and fake.calls == []

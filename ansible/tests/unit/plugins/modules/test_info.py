# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import pytest

from ansible_collections.certcast.fleet.plugins.modules import status_info, verify
from ansible_collections.certcast.fleet.tests.unit import answers


def endpoint(node, ok, served=answers.NEW, detail=""):
    return {"node": node, "address": "10.0.0.1:443", "serverName": "www.example.com", "expectedSha256": answers.NEW,
            "servedSha256": served, "ok": ok, "detail": detail, "certificate": "wildcard", "ipAddress": ""}


def verified(endpoints):
    return {"endpoints": endpoints, "nodesWithoutEndpoint": [], "certificates": [], "total": len(endpoints),
            "converged": sum(1 for one in endpoints if one["ok"])}


@pytest.mark.parametrize("converged, code", [(2, 0), (1, 3)])
def test_status_fails_in_neither_case(fake, run, converged, code):
    fake.answer(["status"], dict(answers.status([("web-1", answers.NEW), ("web-2", answers.OLD)]), converged=converged),
                code=code, err="warning: the identity of web-2 expires soon\n")
    answer = run(status_info, name="wildcard")
    assert (answer["failed"], answer["changed"], answer["complete"]) == (False, False, converged == 2)
    assert answer["nodes"][1]["served_sha256"] == answers.OLD
    assert answer["warnings"] == ["the identity of web-2 expires soon"]
    assert fake.argvs == [["-o", "json", "status", "wildcard"]]


def test_status_that_can_not_be_had_fails(fake, run):
    fake.answer(["status"], code=1, err="certcast: the master key is not there\n")
    assert run(status_info)["msg"] == "the master key is not there"


def test_verify_is_ok_when_all_serve_it(fake, run):
    fake.answer(["verify"], verified([endpoint("web-1", True)]))
    answer = run(verify, name="wildcard", handshake_timeout="2s")
    assert (answer["failed"], answer["changed"], answer["converged"]) == (False, False, 1)
    assert fake.argvs == [["-o", "json", "verify", "wildcard", "--timeout", "2s"]]


def test_verify_names_what_serves_something_else(fake, run):
    fake.answer(["verify"], verified([endpoint("web-1", True), endpoint("web-2", False, answers.OLD),
                                      endpoint("web-3", False, "", "connection refused")]), code=3)
    answer = run(verify)
    assert answer["failed"] and answer["failed_nodes"] == ["web-2", "web-3"]
    assert "1 of 3 endpoints" in answer["msg"]
    assert "web-2: 10.0.0.1:443 as www.example.com: serves %s, expected %s" % (answers.OLD, answers.NEW) in answer["msg"]
    assert "web-3: 10.0.0.1:443 as www.example.com: no certificate was seen: connection refused" in answer["msg"]


def test_verify_without_endpoints_fails(fake, run):
    fake.answer(["verify"], verified([]), code=3)
    answer = run(verify)
    assert answer["failed"] and "no node declares an endpoint" in answer["msg"]


def test_verify_runs_in_check_mode(fake, run):
    fake.answer(["verify"], verified([endpoint("web-1", True)]))
    assert run(verify, check_mode=True)["converged"] == 1

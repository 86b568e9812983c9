# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import base64
import hashlib
import json
import os

import pytest

from ansible_collections.certcast.fleet.plugins.modules import import_certificate
from ansible_collections.certcast.fleet.tests.unit import answers

# No certificate, but it has a digest as one has.
DER = b"der " * 40
PEM = "-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n" % base64.encodebytes(DER).decode()
LEAF = hashlib.sha256(DER).hexdigest()
KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49\n-----END PRIVATE KEY-----"


def imported(issued):
    return {"certificates": [dict(answers.certificate(issued), leafSha256=LEAF)]}


def test_the_key_goes_through_a_private_file_that_does_not_stay(fake, run):
    fake.answer(["certificates"], answers.certificates())
    fake.answer(["import"], imported(True))
    answer = run(import_certificate, name="ev", fullchain_content=PEM, key_content=KEY)
    assert (answer["failed"], answer["changed"], answer["leaf_sha256"]) == (False, True, LEAF)
    call = fake.calls[1]
    assert call["argv"][2:4] + call["argv"][-1:] == ["import", "--fullchain", "ev"]
    key_file = call["argv"][call["argv"].index("--key") + 1]
    assert call["files"][key_file].strip() == KEY and call["modes"][key_file] == "0o600"
    assert not os.path.exists(key_file)
    for call in fake.calls:
        assert "MIGHAgEA" not in json.dumps([call["argv"], call["environment"], call["stdin"]])
    assert "MIGHAgEA" not in json.dumps(answer)


def test_files_are_handed_on_by_name(fake, run, tmp_path):
    (tmp_path / "fullchain.pem").write_text(PEM)
    fake.answer(["certificates"], answers.certificates())
    fake.answer(["import"], imported(True))
    run(import_certificate, name="ev", fullchain=str(tmp_path / "fullchain.pem"), key="/etc/ev.key")
    assert fake.argvs[1] == ["-o", "json", "import", "--fullchain", str(tmp_path / "fullchain.pem"), "--key", "/etc/ev.key", "ev"]


def test_the_same_certificate_is_no_change(fake, run):
    fake.answer(["certificates"], answers.certificates(wanted=LEAF))
    fake.answer(["import"], imported(False))
    answer = run(import_certificate, name="ev", fullchain_content=PEM, key_content=KEY, diff=True)
    assert answer["changed"] is False and answer["diff"]["before"] == answer["diff"]["after"]


def test_diff_has_fingerprints(fake, run):
    fake.answer(["certificates"], answers.certificates())
    fake.answer(["import"], imported(True))
    diff = run(import_certificate, name="ev", fullchain_content=PEM, key_content=KEY, diff=True)["diff"]
    assert diff["before"] == "ev: sha256 %s, notAfter %s\n" % (answers.NEW, answers.EXPIRY)
    assert diff["after"] == "ev: sha256 %s, notAfter %s\n" % (LEAF, answers.EXPIRY)


@pytest.mark.parametrize("wanted, changed", [(answers.NEW, True), (LEAF, False)])
def test_check_mode_compares_fingerprints_and_imports_nothing(fake, run, wanted, changed):
    fake.answer(["certificates"], answers.certificates(wanted=wanted))
    answer = run(import_certificate, check_mode=True, name="ev", fullchain_content=PEM, key_content=KEY)
    assert (answer["failed"], answer["changed"]) == (False, changed)
    assert len(fake.calls) == 1


@pytest.mark.parametrize("options, words", [
    ({"fullchain_content": "no PEM", "key_content": KEY}, "found no CERTIFICATE block"),
    ({"fullchain_content": PEM.replace("Z", "Z!!!="), "key_content": KEY}, None),
    ({"fullchain": "/nowhere", "key_content": KEY}, "/nowhere can't be read: No such file"),
    ({"fullchain_content": PEM}, "key"),
    ({"fullchain_content": PEM, "key": "/k", "key_content": KEY}, "mutually exclusive"),
])
def test_wrong_input_is_refused_before_anything_is_called(fake, run, options, words):
    answer = run(import_certificate, name="ev", **options)
    assert answer["failed"] and fake.argvs in ([], [["-o", "json", "certificates", "ev"]])
    if words:
        assert words in answer["msg"] and fake.calls == []
    assert "MIGHAgEA" not in answer["msg"]


def test_what_the_program_refuses_is_a_failure(fake, run):
    fake.answer(["certificates"], answers.certificates())
    fake.answer(["import"], code=1, err="certcast: ev was not imported: the key does not belong to the leaf\n")
    answer = run(import_certificate, name="ev", fullchain_content=PEM, key_content=KEY)
    assert answer["failed"] and "the key does not belong to the leaf" in answer["msg"]


def test_check_mode_sees_that_the_key_can_be_read(fake, run):
    fake.answer(["certificates"], answers.certificates())
    answer = run(import_certificate, check_mode=True, name="ev", fullchain_content=PEM, key="/nowhere/key.pem")
    assert answer["failed"] and answer["msg"] == "key: /nowhere/key.pem can't be read: it is not there"

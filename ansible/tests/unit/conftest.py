# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
"""What all unit tests have: a program in the place of certcast, and modules that are run in this process."""
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import json
import os
import sys
import tempfile

import pytest

from ansible.module_utils import basic
from ansible.module_utils.common.text.converters import to_bytes

# Records how it was called, then answers as it was told: the first answer whose words are all among its arguments. SIGINT
# ends it, also where these tests run in a script's background, which ignores it.
FAKE = '''#!%s
import signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
import json, os, sys, time
home = os.path.dirname(os.path.abspath(sys.argv[0]))
call = {"argv": sys.argv[1:], "environment": dict(os.environ), "files": {}, "modes": {}}
call["stdin"] = "" if sys.stdin.isatty() else sys.stdin.read()
for word in sys.argv[1:]:
    if os.path.isfile(word):
        call["files"][word] = open(word).read()
        call["modes"][word] = oct(os.stat(word).st_mode & 0o777)
with open(os.path.join(home, "calls"), "a") as stream:
    stream.write(json.dumps(call) + "\\n")
for answer in json.load(open(os.path.join(home, "answers"))):
    if all(word in sys.argv for word in answer["to"]):
        sys.stderr.write(answer["err"])
        sys.stderr.flush()
        while answer["hold"] and os.path.exists(answer["hold"]):
            time.sleep(0.01)
        sys.stdout.write(answer["out"])
        sys.exit(answer["code"])
sys.stderr.write("certcast: the test has no answer to " + " ".join(sys.argv[1:]) + "\\n")
sys.exit(1)
'''


class FakeProgram(object):
    def __init__(self, home):
        self.home = str(home)
        self.path = os.path.join(self.home, "certcast")
        self.answers = []
        with open(self.path, "w") as stream:
            stream.write(FAKE % sys.executable)
        os.chmod(self.path, 0o755)
        self._save()

    def answer(self, to, out="", code=0, err="", hold=""):
        """To a call with all of these words. The first answer that fits counts."""
        if not isinstance(out, str):
            out = json.dumps(out)
        self.answers.append({"to": to, "out": out, "code": code, "err": err, "hold": hold})
        self._save()

    @property
    def calls(self):
        path = os.path.join(self.home, "calls")
        if not os.path.exists(path):
            return []
        with open(path) as stream:
            return [json.loads(line) for line in stream]

    @property
    def argvs(self):
        return [call["argv"] for call in self.calls]

    def _save(self):
        with open(os.path.join(self.home, "answers"), "w") as stream:
            json.dump(self.answers, stream)


@pytest.fixture
def fake(tmp_path, monkeypatch):
    # So that jobs of a test are nobody else's.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return FakeProgram(tmp_path)


class ModuleEnd(Exception):
    pass


@pytest.fixture
def run(fake, monkeypatch, tmp_path):
    """Runs a module's main with these options: what it answers, `failed` and `warnings` included."""

    def end(module, failed, answer):
        module.do_cleanup_files()
        raise ModuleEnd(dict(answer, failed=failed, warnings=list(warnings)))

    warnings = []
    monkeypatch.setattr(basic.AnsibleModule, "warn", lambda self, text: warnings.append(text))

    monkeypatch.setattr(basic.AnsibleModule, "exit_json", lambda self, **answer: end(self, False, answer))
    monkeypatch.setattr(basic.AnsibleModule, "fail_json", lambda self, msg, **answer: end(self, True, dict(answer, msg=msg)))

    def run_module(module, check_mode=False, diff=False, **options):
        del warnings[:]
        options.setdefault("executable", fake.path)
        if options["executable"] is None:
            del options["executable"]
        options.update(_ansible_check_mode=check_mode, _ansible_diff=diff, _ansible_remote_tmp=str(tmp_path),
                       _ansible_keep_remote_files=False)
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", to_bytes(json.dumps({"ANSIBLE_MODULE_ARGS": options})))
        with pytest.raises(ModuleEnd) as ended:
            module.main()
        return ended.value.args[0]

    return run_module

# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
"""Calling the program `certcast` and reading what it answers.

Its standard output is one JSON document, its standard error lines for people; the exit codes are fixed:
0 done or nothing to do, 1 failed, 2 wrong usage or configuration, 3 not every node has it, 4 halted by the failure budget,
5 --dry-run found something to do.
"""
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import json
import os
import re

DONE = 0
FAILED = 1
USAGE = 2
INCOMPLETE = 3
HALTED = 4
PENDING = 5

# Numbers that the protobuf JSON mapping writes as strings, since they have 64 bits.
LONG_NUMBERS = ("generation", "durationMs", "estimatedMs", "slowestMs")
# Maps whose keys are the operator's own words.
MAPS_OF_TEXT = ("labels",)

ENVIRONMENT = {"LC_ALL": "C.UTF-8", "NO_COLOR": "1", "TERM": "dumb"}


class ProgramError(Exception):
    """The program can't be started, or its answer can't be understood."""


def program_spec():
    return {
        "executable": {"type": "path", "default": "certcast"},
        "config": {"type": "path"},
    }


def job_spec():
    return {
        "wait": {"type": "bool", "default": True},
        "timeout": {"type": "int", "default": 3600},
        "on_incomplete": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
    }


def check_timeout(module):
    if module.params["timeout"] < 0:
        module.fail_json(msg="timeout: found %d, expected a number of seconds, 0 or more" % module.params["timeout"])


def find_program(module, name, where="the controller"):
    """The absolute path of a program, or the end of the module with what to do about it."""
    if os.sep in name:
        if os.path.isfile(name) and os.access(name, os.X_OK):
            return os.path.abspath(name)
        problem = "%s is not there, or can't be executed" % name
    else:
        found = module.get_bin_path(name, opt_dirs=["/usr/local/bin", "/usr/local/sbin"])
        if found:
            return found
        problem = "there is no program %s in PATH" % name
    module.fail_json(
        msg="%s on this host. Is it %s? Hint: delegate_to that host, or set executable" % (problem, where))


def controller_argv(module, *arguments):
    argv = [find_program(module, module.params["executable"])]
    if module.params["config"]:
        argv += ["--config", os.path.abspath(module.params["config"])]
    return argv + ["-o", "json"] + list(arguments)


def name_of(module, option):
    """The value of an option that becomes an argument of its own: [] where it is not set. It can't pass for a flag."""
    value = module.params[option]
    if not value:
        return []
    if value.startswith("-"):
        module.fail_json(msg="%s: found %s, expected a name, which does not begin with a dash" % (option, value))
    return [value]


def run(module, argv, data=None):
    """Runs it to its end: exit code, what it answered, its lines. Ends the module when there is no JSON where there must be."""
    code, out, err = module.run_command(argv, data=data, binary_data=True, environ_update=ENVIRONMENT)
    try:
        return code, parse_answer(out, code, err), err
    except ProgramError as error:
        module.fail_json(exit_code=code, **failure_of("%s: %s" % (argv[0], error), err))


def run_or_fail(module, argv, good=(DONE,), data=None):
    """The answer, where the exit code is one of these; the end of the module otherwise."""
    code, answer, err = run(module, argv, data=data)
    if code not in good:
        module.fail_json(exit_code=code, **failure_of(how_it_ended(argv, code), err))
    return code, answer, err


def how_it_ended(argv, code):
    """For those of which it is not known in better words. A shell says 128 and the signal of a program that was killed."""
    if code < 0 or code > 128:
        return "%s was killed by signal %d" % (argv[0], -code if code < 0 else code - 128)
    return "%s exited with %d" % (argv[0], code)


def parse_answer(out, code, err):
    """The JSON document with keys as Python has them; {} where a failed program wrote none."""
    if not out.strip():
        if code in (FAILED, USAGE) or code > PENDING or code < 0:
            return {}
        raise ProgramError("exited with %d and wrote no answer. Hint: is it the program certcast?" % code)
    try:
        return plain(json.loads(out))
    except ValueError:
        raise ProgramError("exited with %d, and its answer is not JSON. Hint: is it the program certcast?" % code)


def plain(value, key=None):
    if isinstance(value, dict):
        if key in MAPS_OF_TEXT:
            return value
        return dict((snake_case(name), plain(entry, name)) for name, entry in value.items())
    if isinstance(value, list):
        return [plain(entry, key) for entry in value]
    if key in LONG_NUMBERS and not isinstance(value, bool):
        return int(value)
    return value


def snake_case(name):
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def failure_of(otherwise, err):
    """What to fail with, out of lines as the program writes them: `certcast: text`, `  | a command's`, `  hint: text`."""
    said = {"certcast: ": [], "certcast-node: ": [], "  | ": [], "  hint: ": []}
    for line in err.splitlines():
        for beginning, texts in said.items():
            if line.startswith(beginning):
                texts.append(line[len(beginning):])
    texts, lines, hints = said["certcast: "] + said["certcast-node: "], said["  | "], said["  hint: "]
    if not texts:
        # Not certcast's own words: a loader's, or those of another program of that name.
        texts = [otherwise] + err.strip().splitlines()[-5:]
    result = {"msg": "\n".join(texts + lines)}
    if hints:
        result["hint"] = "\n".join(hints)
        result["msg"] += "".join("\nHint: %s" % hint for hint in hints)
    return result


def warnings_of(err):
    beginning = "warning: "
    return [line[len(beginning):] for line in err.splitlines() if line.startswith(beginning)]

# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
"""A run of `certcast` that outlives the task which started it.

A job is a directory that only its user may enter: `out` and `err` of the program, `exit` once it has ended (renamed into
place, so it is whole), `job.json` with what it is about. No secret is in any of them.
"""
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import errno
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from ansible_collections.certcast.fleet.plugins.module_utils.program import ENVIRONMENT

# Keeps how the program ended. An interrupt is the program's to handle: `trap :` keeps the shell until it has ended, and gives
# the program the default again.
KEEPER = 'trap : INT TERM; : >began; "$@" >out; echo $? >exit.new && mv exit.new exit'
PREFIX = "certcast-job-"
PAUSE = 0.02
# The program's lines that are taken at once.
MOST_BYTES = 1 << 20


class JobError(Exception):
    """There is no such job, or it can't be looked at."""


def start(argv, about):
    """Starts the program in a session of its own. Returns the job's name, which is its directory."""
    directory = tempfile.mkdtemp(prefix=PREFIX)
    environment = dict(os.environ, **ENVIRONMENT)
    with open(os.path.join(directory, "err"), "wb") as err:
        process = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, directory] + argv, env=environment, cwd=directory, close_fds=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err, start_new_session=True)
    path = os.path.join(directory, "job.json")
    with open(path + ".new", "w") as stream:
        json.dump(dict(about, pid=process.pid), stream)
    os.rename(path + ".new", path)
    # Before that an interrupt would end the keeper.
    while not os.path.exists(os.path.join(directory, "began")) and process.poll() is None:
        time.sleep(PAUSE / 10)
    return directory


class Job(object):
    def __init__(self, name):
        self.directory = name
        if not os.path.basename(name).startswith(PREFIX) or not os.path.isabs(name):
            raise JobError("%s is not the name of a job" % name)
        try:
            self.about = json.loads(self._read("job.json"))
        except (IOError, OSError) as error:
            if error.errno == errno.ENOENT:
                raise JobError("there is no job %s on this host, or its answer was fetched already" % name)
            raise JobError("the job %s can't be looked at: %s" % (name, error.strerror))
        except ValueError:
            raise JobError("%s/job.json is not what was written there" % name)

    def exit_code(self):
        """None while it runs. -1: it was killed, and nobody knows how the program ended."""
        # In this order: the file is there before the keeper ends.
        lives = self._lives()
        try:
            return int(self._read("exit"))
        except (IOError, OSError):
            return None if lives else -1

    def answer(self):
        return self._read("out")

    def err(self):
        return self._read("err")

    def lines(self, offset):
        """The program's whole lines from there on, and where the next ones begin."""
        with open(os.path.join(self.directory, "err"), "rb") as stream:
            stream.seek(offset)
            new = stream.read(MOST_BYTES)
        end = new.rfind(b"\n") + 1
        return new[:end].decode("utf-8", "replace").splitlines(), offset + end

    def follow(self, offset, seconds):
        """Until there are lines after `offset`, it has ended, or so many seconds are over: lines, the next offset, exit code."""
        until = time.time() + seconds
        while True:
            # In this order: after the end there are no more lines.
            code = self.exit_code()
            lines, after = self.lines(offset)
            if lines or code is not None or time.time() >= until:
                return lines, after, code
            time.sleep(PAUSE)

    def interrupt(self):
        """As Ctrl-C does it once: nodes at work are finished, no other is begun."""
        if not self._lives():
            return
        try:
            os.killpg(self.about["pid"], signal.SIGINT)
        except OSError:
            pass

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def _lives(self):
        pid = self.about["pid"]
        try:
            os.kill(pid, 0)
        except OSError:
            return False
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as stream:
                # Another process may have got the number since.
                return self.directory.encode("utf-8") in stream.read().split(b"\0")
        except (IOError, OSError):
            # Where there is no /proc, the number is all there is.
            return not os.path.isdir("/proc/self")

    def _read(self, name):
        with open(os.path.join(self.directory, name), "rb") as stream:
            return stream.read().decode("utf-8", "replace")

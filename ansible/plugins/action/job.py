# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
"""Shows the lines of a job while it runs, then answers as the module does."""
from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible_collections.certcast.fleet.plugins.plugin_utils.live_run import LiveRun


class ActionModule(LiveRun):
    MODULE = "certcast.fleet.job"

# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
"""Answers as the program writes them."""
from __future__ import absolute_import, division, print_function

__metaclass__ = type

OLD = "aa" * 32
NEW = "bb" * 32
EXPIRY = "2027-01-01T00:00:00Z"
OLD_EXPIRY = "2026-12-01T00:00:00Z"


def node(name, outcome="INSTALLED", reason="REASON_UNSPECIFIED", wave=1, **more):
    return dict({"name": name, "wave": wave, "outcome": outcome, "reason": reason, "detail": "", "servedSha256": NEW,
                 "durationMs": "120", "hint": "", "step": "", "stderr": "", "restarts": [], "reloads": ["nginx"],
                 "obstacles": []}, **more)


def rollout(nodes, state="COMPLETED", **more):
    return dict({"id": "wildcard-2-1", "certificate": "wildcard", "generation": "2", "state": state,
                 "waves": [{"index": 1, "size": len(nodes)}], "nodes": nodes, "because": "", "pausedBy": None,
                 "windowOpens": "", "estimatedMs": "0",
                 "counts": {"good": sum(node["outcome"] in ("INSTALLED", "UNCHANGED") for node in nodes)}}, **more)


def certificate(issued=False, **more):
    return dict({"name": "wildcard", "generation": "2", "leafSha256": NEW, "notAfter": EXPIRY, "issued": issued,
                 "renewReason": "", "failure": None}, **more)


def apply(nodes=None, issued=False, state="COMPLETED", **more):
    return {"certificates": [certificate(issued)], "warnings": [], "changesPending": False,
            "rollouts": [rollout(nodes, state, **more)] if nodes is not None else []}


def status(nodes):
    rows = [{"name": name, "certificate": "wildcard", "state": "CONVERGED", "generation": "1", "installedSha256": served,
             "servedSha256": served, "lastSeen": None, "reason": "REASON_UNSPECIFIED", "detail": "", "since": None}
            for name, served in nodes]
    return {"certificates": [], "nodes": rows, "converged": len(rows), "total": len(rows), "warnings": []}


def certificates(wanted=NEW):
    def generation(number, leaf, end, state):
        return {"generation": str(number), "leafSha256": leaf, "notBefore": OLD_EXPIRY, "notAfter": end, "state": state,
                "dnsNames": [], "issuer": "", "source": "import", "revokedAt": None, "revocationReason": ""}
    return {"certificates": [{
        "name": "wildcard", "generation": "2", "leafSha256": wanted, "notAfter": EXPIRY, "renewAt": None, "renewReason": "",
        "generations": [generation(1, OLD, OLD_EXPIRY, "REVOKED"), generation(2, NEW, EXPIRY, "WANTED")]}]}

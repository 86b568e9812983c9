# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
"""What became of an apply, a replacement or a change of a rollout, in words and as a diff."""
from __future__ import absolute_import, division, print_function

__metaclass__ = type

# Of those that did not get there, so many are named.
MOST_NODES = 20

GOOD = ("INSTALLED", "UNCHANGED")


def rollouts_of(answer):
    if "rollout" in answer:
        return [answer["rollout"]]
    return answer.get("rollouts", [])


def certificates_of(answer):
    """Of an apply; of a replacement the one."""
    if "certificate" in answer and isinstance(answer["certificate"], dict):
        return [answer["certificate"]]
    return answer.get("certificates", [])


def good_nodes(rollouts):
    """By rollout, how many of its nodes have the generation."""
    return dict((rollout["id"], rollout["counts"]["good"]) for rollout in rollouts)


def has_changed(answer, had_it):
    """Whether a generation was obtained, or a node serves another certificate than before.

    `had_it`: good_nodes before. A rollout that was gone on with shows what earlier runs of it did too.
    """
    if any(certificate.get("issued") for certificate in certificates_of(answer)):
        return True
    for rollout in rollouts_of(answer):
        installed = any(node["outcome"] == "INSTALLED" for node in rollout["nodes"])
        if installed and had_it.get(rollout["id"]) != rollout["counts"]["good"]:
            return True
    return any(revocation["revoked"] for revocation in answer.get("revocations", []))


def describe_node(node):
    words = [node["outcome"]]
    if node["reason"] != "REASON_UNSPECIFIED":
        words.append(node["reason"])
    if node["step"]:
        words.append("in %s" % node["step"])
    text = "%s: %s" % (node["name"], " ".join(words))
    if node["detail"]:
        text += ": %s" % node["detail"]
    if node["stderr"]:
        text += "".join("\n  | %s" % line for line in node["stderr"].splitlines())
    if node["hint"]:
        text += "\n  hint: %s" % node["hint"]
    return text


def troubled_nodes(rollout):
    """Nodes that ended without the generation."""
    return [node for node in rollout["nodes"] if node["outcome"] not in GOOD + ("OUTCOME_UNSPECIFIED",)]


def describe_rollout(rollout):
    """Several lines: how it stands, why, and each node that did not get there."""
    good = sum(1 for node in rollout["nodes"] if node["outcome"] in GOOD)
    lines = ["%s: rollout %s is %s, %d of %d nodes serve generation %d" % (
        rollout["certificate"], rollout["id"], rollout["state"], good, len(rollout["nodes"]), rollout["generation"])]
    if rollout["because"]:
        lines.append("because: %s" % rollout["because"])
    if rollout["window_opens"]:
        lines.append("its window opens %s" % rollout["window_opens"])
    # What was halted is said of those that caused it first: the others were fine.
    nodes = sorted(troubled_nodes(rollout), key=lambda node: (node["reason"] == "ROLLOUT_HALTED", node["name"]))
    lines += [describe_node(node) for node in nodes[:MOST_NODES]]
    if len(nodes) > MOST_NODES:
        lines.append("and %d more" % (len(nodes) - MOST_NODES))
    return "\n".join(lines)


def is_complete(answer):
    return all(rollout["state"] == "COMPLETED" for rollout in rollouts_of(answer))


def next_step(answer):
    states = set(rollout["state"] for rollout in rollouts_of(answer))
    if states & set(["HALTED", "REVERTING", "REVERTED"]):
        return "mend the nodes that failed, then run this again: the same generation is tried, and none is ordered"
    if any(rollout.get("paused_by") for rollout in rollouts_of(answer)):
        return "an operator paused it: certcast.fleet.rollout with action: resume goes on"
    if "PAUSED" in states:
        return "look at the service whose probes pass and fail by turns, then run this again: it goes on"
    if "WAITING_FOR_WINDOW" in states:
        return "run this again within the window, or with now: true"
    return "run this again when the nodes that are named can be reached: it goes on with them"


# --- Diff.

def state_lines(nodes):
    """A line a node and certificate: [(node, certificate, fingerprint, notAfter)] as text, sorted."""
    lines = ["%s %s: sha256 %s, notAfter %s\n" % (
        node, certificate, fingerprint or "none", not_after or ("unknown" if fingerprint else "none"))
        for node, certificate, fingerprint, not_after in sorted(nodes)]
    return "".join(lines)


def expiry_by_fingerprint(listed):
    """From the answer of `certcast certificates`."""
    return dict((generation["leaf_sha256"], generation["not_after"])
                for certificate in listed["certificates"] for generation in certificate["generations"])


def served_before(status, listed):
    """What each node has of each certificate: {"NODE CERTIFICATE": [fingerprint, notAfter]}, for JSON."""
    expiry = expiry_by_fingerprint(listed)
    before = {}
    for node in status["nodes"]:
        fingerprint = node["served_sha256"] or node["installed_sha256"]
        if not fingerprint and node["state"] == "UNREACHABLE":
            fingerprint = "unknown"
        before["%s %s" % (node["name"], node["certificate"])] = [fingerprint, expiry.get(fingerprint, "")]
    return before


def served_after(before, answer, planned):
    """The same after it; `planned`: as it would be."""
    after = dict(before)
    certificates = dict((certificate["name"], certificate) for certificate in certificates_of(answer))
    for rollout in rollouts_of(answer):
        certificate = certificates.get(rollout["certificate"], {})
        new = [certificate.get("leaf_sha256", ""), certificate.get("not_after") or ""]
        if planned and certificate.get("issued"):
            new = ["of a new certificate", "of a new certificate"]
        for node in rollout["nodes"]:
            gets_it = node["outcome"] == "INSTALLED" or (planned and node["outcome"] == "OUTCOME_UNSPECIFIED")
            if not gets_it:
                continue
            after["%s %s" % (node["name"], rollout["certificate"])] = new if new[0] else [node["served_sha256"], ""]
    return after


def diff_of(before, after):
    def text(served):
        return state_lines([tuple(key.split(" ", 1)) + tuple(value) for key, value in served.items()])
    return {"before": text(before), "after": text(after),
            "before_header": "served before", "after_header": "served after"}

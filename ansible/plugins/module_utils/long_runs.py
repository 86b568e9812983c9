# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
"""Runs that take as long as a fleet takes: started as a job, followed or left, and judged when they have ended."""
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import time

from ansible_collections.certcast.fleet.plugins.module_utils import jobs, program, rollouts

# After a timeout: that nodes at work are finished, which takes node_timeout (3 minutes) at most, and some more.
GRACE = 300
# A run that ends within that (nothing to do, a wrong configuration) is answered at once, though nobody waits for it.
FIRST_LOOK = 0.5


def run_long(module, argv, about):
    """Starts it; follows it to its end where the task waits. Does not return."""
    about = dict(about, argv=argv, on_incomplete=module.params["on_incomplete"])
    name = jobs.start(argv, about)
    job = jobs.Job(name)
    if module.params["wait"]:
        finish(module, job, module.params["timeout"])
    lines, after, code = follow_all(job, 0, FIRST_LOOK)
    if code is not None:
        end_with(module, job, code)
    # What the action plugin has shown so far is not asked for twice.
    module.exit_json(changed=False, job=name, finished=False, lines=lines, offset=after)


def follow_all(job, offset, seconds):
    """As Job.follow, to the end of the time."""
    until = time.time() + seconds
    lines = []
    while True:
        new, offset, code = job.follow(offset, max(0, until - time.time()))
        lines += new
        if code is not None or time.time() >= until:
            return lines, offset, code


def finish(module, job, timeout):
    """Waits for the end; after `timeout` seconds asks it to stop. Does not return."""
    offset, code = 0, None
    dummy, offset, code = follow_all(job, offset, timeout)
    if code is not None:
        end_with(module, job, code)
    job.interrupt()
    dummy, offset, code = follow_all(job, offset, GRACE)
    if code is None:
        module.fail_json(
            msg="not over within the timeout, and nodes at work are not finished %d seconds later; it goes on by itself. Hint: "
                "certcast.fleet.job follows it, certcast.fleet.rollout with action: abort ends it" % GRACE,
            job=job.directory, finished=False)
    end_with(module, job, code, because="not over within the timeout, so no further node was begun")


def end_with(module, job, code, because=None, news=None):
    """Ends the module with what became of the job, and removes the job."""
    result = judge(job, code)
    if news is not None:
        result["news"] = news
    if because is not None:
        result["failed"] = True
        result["msg"] = "%s: %s" % (because, result.get("msg", "it had ended by then"))
    job.remove()
    for warning in result.pop("warnings", []):
        module.warn(warning)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


def judge(job, code):
    about, err = job.about, job.err()
    result = {"exit_code": code, "finished": True, "changed": False, "lines": err.splitlines()}
    if code == -1:
        result.update(failed=True, msg="%s was killed. Hint: run it again: it asks the nodes what they have, and goes on"
                      % " ".join(about["argv"][:1]))
        return result
    try:
        answer = program.parse_answer(job.answer(), code, err)
    except program.ProgramError as error:
        result.update(failed=True, **program.failure_of("%s: %s" % (about["argv"][0], error), err))
        return result
    result.update(answer)
    result["changed"] = has_moved(about, answer) if "standing" in about else rollouts.has_changed(answer, about.get("had_it", {}))
    result["converged"] = code == program.DONE
    result["warnings"] = program.warnings_of(err)
    if "before" in about:
        result["diff"] = rollouts.diff_of(about["before"], rollouts.served_after(about["before"], answer, planned=False))
    if "state_before" in about and "rollout" in answer:
        result["diff"] = {"before": about["state_before"],
                          "after": "%s: %s\n" % (answer["rollout"]["id"], answer["rollout"]["state"])}
    result.update(verdict(about, code, answer, err))
    return result


def has_moved(about, answer):
    """Of a change of a rollout: whether it stands otherwise than before. A retry that had nothing to do shows the old one."""
    return "rollout" in answer and standing(answer["rollout"]) != about["standing"]


def standing(rollout):
    """All of a rollout that an operator changes."""
    return [rollout["id"], rollout["state"], [[node["name"], node["outcome"]] for node in rollout["nodes"]]]


def verdict(about, code, answer, err):
    if code == program.DONE:
        return {}
    if code in (program.FAILED, program.USAGE) or not answer:
        return dict(program.failure_of(program.how_it_ended(about["argv"], code), err), failed=True)
    missing = missing_certificates(answer)
    hint = rollouts.next_step(answer)
    if missing and rollouts.is_complete(answer):
        hint = "bring it with certcast.fleet.import_certificate"
    texts = [rollouts.describe_rollout(rollout) for rollout in rollouts.rollouts_of(answer)
             if rollout["state"] != "COMPLETED"]
    texts += missing
    texts += missing_replacement(answer)
    if answer.get("pending"):
        texts, hint = [answer["text"]], "the request stays: it is met before the next node begins"
    if not texts:
        texts = ["not every node has it (exit code %d of certcast)" % code]
    text = "\n".join(texts)
    if code == program.INCOMPLETE and about["on_incomplete"] == "warn":
        return {"warnings": program.warnings_of(err) + ["%s\nHint: %s" % (text, hint)]}
    return {"failed": True, "msg": "%s\nHint: %s" % (text, hint), "hint": hint,
            "failed_nodes": sorted(set(node["name"] for rollout in rollouts.rollouts_of(answer)
                                       for node in rollouts.troubled_nodes(rollout)
                                       if node["reason"] != "ROLLOUT_HALTED"))}


def missing_certificates(answer):
    return ["%s: there is none yet: %s" % (certificate["name"], certificate["renew_reason"])
            for certificate in rollouts.certificates_of(answer)
            if not certificate["generation"] and not certificate.get("failure")]


def missing_replacement(answer):
    """Of `certcast replace`: what keeps the old key from being revoked."""
    texts = ["%s: %s" % (node["name"], " ".join(filter(None, [node["state"], node["detail"]])))
             for node in answer.get("nodes", []) if "state" in node]
    texts += ["%s: %s at %s %s" % (endpoint["node"], endpoint["served_sha256"] or "nothing is served",
                                   endpoint["address"], endpoint["detail"])
              for endpoint in answer.get("endpoints", []) if not endpoint["ok"]]
    texts += describe_holders(answer.get("holders", []))
    texts += ["generation %d is not revoked%s" % (
        revocation["generation"], ": " + revocation["failure"]["detail"] if revocation.get("failure") else "")
        for revocation in answer.get("revocations", []) if not revocation["revoked"]]
    return texts


def describe_holders(holders):
    words = {"SERVES": "serves it", "HAS": "has it", "RETURNS": "goes back to it unless it is confirmed",
             "UNKNOWN": "can't be asked"}
    return ["%s%s %s%s" % (holder["node"], " at " + holder["address"] if holder["address"] else "",
                           words.get(holder["kind"], holder["kind"]), ": " + holder["detail"] if holder["detail"] else "")
            for holder in holders]

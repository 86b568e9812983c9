#!/usr/bin/python
# Copyright (c) 2026 the certcast developers
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: import_certificate
short_description: Adopt a certificate that was obtained elsewhere
version_added: 0.1.0
author:
  - The certcast developers (@certcast)
description:
  - For certificates bought by hand, EV ones above all (C(certcast import)). The key is checked against the leaf, the chain, the
    dates and the names; then it is kept, encrypted, as the next generation. No node is touched before
    M(certcast.fleet.certificate) rolls it out.
  - The same certificate twice is one generation, so a second run is C(ok).
options:
  name:
    description:
      - The certificate, as the configuration of the controller names it. It has no C(account) there.
    type: str
    required: true
  fullchain:
    description:
      - PEM file on the controller, the leaf first, then its intermediates in order.
    type: path
  fullchain_content:
    description:
      - The same as text.
    type: str
  key:
    description:
      - PEM file on the controller with the private key, not encrypted, readable by its owner alone.
    type: path
  key_content:
    description:
      - The same as text, from Ansible Vault for example. It is in a file of mode 0600 while the task runs.
    type: str
extends_documentation_fragment:
  - certcast.fleet.program
  - certcast.fleet.program.attributes
attributes:
  check_mode:
    support: full
    details:
      - Says whether it is another certificate than the wanted one. Key, chain and names are checked when it is imported.
  diff_mode:
    support: full
    details:
      - Fingerprints and C(notAfter), never the key.
  async:
    support: full
"""

EXAMPLES = r"""
- name: The EV certificate of this year
  certcast.fleet.import_certificate:
    name: ev
    fullchain_content: "{{ lookup('ansible.builtin.file', 'ev-fullchain.pem') }}"
    key_content: "{{ vault_ev_key }}"
  delegate_to: controller
  run_once: true

- name: Bring it to every node
  certcast.fleet.certificate:
    name: ev
  delegate_to: controller
  run_once: true
"""

RETURN = r"""
certificate:
  description: The certificate and its generation. Empty in check mode.
  returned: success
  type: dict
  sample: {name: ev, generation: 3, leaf_sha256: 5c0f7e, not_after: "2026-12-22T10:00:00Z", issued: true}
leaf_sha256:
  description: SHA-256 of the leaf in I(fullchain).
  returned: success
  type: str
  sample: 5c0f7e
"""

import base64
import binascii
import hashlib
import os
import re
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.certcast.fleet.plugins.module_utils import program

LEAF = re.compile(r"-----BEGIN CERTIFICATE-----\s+(.*?)-----END CERTIFICATE-----", re.DOTALL)


def text_of(module, path):
    try:
        with open(path, "rb") as stream:
            return stream.read(1 << 16).decode("utf-8", "replace")
    except (IOError, OSError) as error:
        module.fail_json(msg="fullchain: %s can't be read: %s" % (path, error.strerror))


def leaf_sha256(module, pem):
    found = LEAF.search(pem)
    if not found:
        module.fail_json(msg="fullchain: found no CERTIFICATE block, expected PEM text with the leaf first")
    try:
        return hashlib.sha256(base64.b64decode("".join(found.group(1).split()))).hexdigest()
    except (ValueError, binascii.Error):
        module.fail_json(msg="fullchain: the first CERTIFICATE block is not base64")


def write_private(module, text):
    """A file for the user of the module alone, gone when the module ends."""
    descriptor, path = tempfile.mkstemp(dir=module.tmpdir)
    module.add_cleanup_file(path)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text if text.endswith("\n") else text + "\n")
    return path


def check_key(module):
    """Of check mode. The program opens it as who the module runs as."""
    path = module.params["key"]
    if path and not os.access(path, os.R_OK):
        module.fail_json(msg="key: %s can't be read%s" % (path, "" if os.path.exists(path) else ": it is not there"))


def wanted(module):
    """Fingerprint and notAfter of the generation that nodes should have."""
    dummy, listed, dummy = program.run_or_fail(
        module, program.controller_argv(module, "certificates", *program.name_of(module, "name")))
    certificate = listed["certificates"][0]
    return certificate["leaf_sha256"], certificate["not_after"] if certificate["generation"] else ""


def describe(name, fingerprint, not_after):
    if not fingerprint:
        return "%s: none\n" % name
    return "%s: sha256 %s%s\n" % (name, fingerprint, ", notAfter %s" % not_after if not_after else "")


def run_import(module, leaf):
    params = module.params
    fullchain = params["fullchain"] or write_private(module, params["fullchain_content"])
    key = params["key"] or write_private(module, params["key_content"])
    dummy, answer, dummy = program.run_or_fail(module, program.controller_argv(
        module, "import", "--fullchain", os.path.abspath(fullchain), "--key", os.path.abspath(key),
        *program.name_of(module, "name")))
    certificate = answer["certificates"][0]
    return {"changed": certificate["issued"], "certificate": certificate, "leaf_sha256": leaf}


def main():
    spec = dict(
        name={"type": "str", "required": True},
        fullchain={"type": "path"},
        fullchain_content={"type": "str"},
        key={"type": "path", "no_log": False},
        key_content={"type": "str", "no_log": True},
    )
    spec.update(program.program_spec())
    module = AnsibleModule(
        argument_spec=spec,
        supports_check_mode=True,
        mutually_exclusive=[("fullchain", "fullchain_content"), ("key", "key_content")],
        required_one_of=[("fullchain", "fullchain_content"), ("key", "key_content")],
    )
    pem = module.params["fullchain_content"] or text_of(module, module.params["fullchain"])
    leaf = leaf_sha256(module, pem)
    before, expiry = wanted(module)
    if module.check_mode:
        check_key(module)
        result = {"changed": leaf != before, "certificate": {}, "leaf_sha256": leaf}
    else:
        result = run_import(module, leaf)
    if module._diff:
        name = module.params["name"]
        not_after = result["certificate"].get("not_after", "") if leaf != before else expiry
        result["diff"] = {"before": describe(name, before, expiry), "after": describe(name, leaf, not_after)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()

"""Prints "PASSED FAILED", a line for each test report (test.xml) that Bazel left below a directory.

GoogleTest writes a case a line of its report; another test counts as one, and so does a report that can't be read.
"""
import pathlib
import re
import sys
import xml.etree.ElementTree as tree

for report in sorted(pathlib.Path(sys.argv[1]).rglob("test.xml")):
    # Names of cases may hold bytes that XML does not allow.
    text = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "?", report.read_bytes().decode("utf-8", "replace"))
    try:
        root = tree.fromstring(re.sub(r"^<\?xml[^>]*>", "", text))
        cases = failures = 0
        for case in root.iter("testcase"):
            if case.get("status") == "notrun":
                continue
            cases += 1
            failures += case.find("failure") is not None or case.find("error") is not None
        if not cases:
            cases = failures = 1
    except tree.ParseError:
        cases = failures = 1
    print(cases - failures, failures)

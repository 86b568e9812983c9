"""Makes the virtual environments that `ansible-test sanity` runs its tests in, below $HOME, without a network.

ansible-test makes one for each test it runs, with pip and packages from PyPI. Where the environment is there already and
marked as complete, it is used as it is. So each is made here beforehand, without pip, and sees the packages of Debian
(pylint, pycodestyle, yamllint, python3-voluptuous).

    python3 tests/ansible/sanity_environments.py TEST...

For the installed ansible-test alone: the name of an environment has a hash of what pip would do in it.
"""
import pathlib
import subprocess
import sys

from ansible_test._internal.commands.sanity import hash_pip_commands
from ansible_test._internal.host_configs import VirtualPythonConfig
from ansible_test._internal.python_requirements import collect_requirements

VERSION = "%d.%d" % sys.version_info[:2]
# What ansible-test looks for: that it is complete, which modules of coverage it has, whether yaml has libyaml.
MARKS = {"marker.txt": "", "meta.install.json": "[]", "meta.yaml.json": "true"}


def environment_of(test, minimize):
    commands = collect_requirements(
        python=VirtualPythonConfig(version=VERSION, path=sys.executable), controller=True, virtualenv=False, command=None,
        ansible=False, cryptography=False, coverage=False, minimize=minimize, sanity=test)
    # Tests that need no package share one.
    label = f"sanity.{test}" if commands else "sanity"
    return pathlib.Path.home() / ".ansible/test/venv" / label / VERSION / hash_pip_commands(commands)


def make(path):
    if (path / "marker.txt").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", str(path)], check=True)
    for name, text in reversed(MARKS.items()):
        (path / name).write_text(text)


def main():
    for test in sys.argv[1:]:
        # The import tests run in one with next to nothing, as a module does on its host.
        for minimize in {test.startswith("import"), False}:
            make(environment_of(test, minimize))


if __name__ == "__main__":
    main()

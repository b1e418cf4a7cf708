"""Starts a program so that it neither outlives its parent nor, where it must not, runs as root.

    launch.py [--identity same|namespace|nobody] [--on-parent-death SIGNAL] -- PROGRAM ARGUMENT…

PostgreSQL refuses to run as root. `namespace` puts the program into a user namespace of its own, in
which root outside is an ordinary user inside: nothing is chowned, and the files may lie in a folder
that only root can enter. `nobody` is for where user namespaces are refused.
It execs, so the program keeps this process's id.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
INSIDE_ID = 1000


def enter_user_namespace() -> None:
    """Becomes an ordinary user inside a new user namespace. Raises OSError where refused."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    if not hasattr(libc, "unshare"):
        raise OSError("this system has no user namespaces")
    if libc.unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    # A group map may only be written once setgroups is given up (user_namespaces(7)).
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{INSIDE_ID} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{INSIDE_ID} {gid} 1")


def become_nobody() -> None:
    """Becomes the user "nobody" for good. Raises OSError or KeyError."""
    user = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def die_with_parent(number: int, parent: int) -> None:
    """Has the kernel send `number` here when the parent ends. Linux alone can."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # it ended before we asked
            os.kill(os.getpid(), number)


IDENTITIES = {"same": lambda: None, "namespace": enter_user_namespace, "nobody": become_nobody}


def main(arguments: list[str]) -> None:
    parent = os.getppid()
    split = arguments.index("--")
    words, program = arguments[:split], arguments[split + 1 :]
    options = dict(zip(words[::2], words[1::2], strict=True))
    identity = options.get("--identity", "same")
    try:
        IDENTITIES[identity]()
        # After the change of identity, for that clears it.
        if "--on-parent-death" in options:
            die_with_parent(signal.Signals[options["--on-parent-death"]], parent)
        os.execv(program[0], program)  # noqa: S606 # to be the program is what we are for
    except (OSError, KeyError) as error:
        sys.exit(f"cannot start {program[0]} (identity {identity}): {error}")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Hosts on this machine: network namespaces, a bridge and links of a rate."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Host:
    """A namespace whose only link goes to the bridge.

    Attributes:
        name: of the namespace.
        address: IPv4.
        bridge: namespace that the bridge is in.
        port: name of the link there.
    """

    name: str
    address: str
    bridge: str
    port: str

    def command(self, command: Sequence[str]) -> list[str]:
        """Returns a command that runs there."""
        return ["ip", "netns", "exec", self.name, *command]

    def cut(self) -> None:
        """Lets all that it sends and would receive get lost."""
        _ip("-n", self.bridge, "link", "set", self.port, "nomaster")

    def join(self) -> None:
        """Ends that."""
        _ip("-n", self.bridge, "link", "set", self.port, "master", "bridge")


@contextlib.contextmanager
def connected_hosts(count: int, rate: str = "") -> Iterator[list[Host]]:
    """Makes hosts that reach each other and nothing else.

    Args:
        rate: of each link in each direction, as of `tc`: `100mbit`.

    Raises:
        OSError: this process may not.
    """
    prefix = f"tagforest-{os.getpid()}"
    with contextlib.ExitStack() as stack:
        bridge = _namespace(stack, f"{prefix}-bridge")
        _ip("-n", bridge, "link", "add", "bridge", "type", "bridge")
        _ip("-n", bridge, "link", "set", "bridge", "up")
        hosts = []
        for number in range(count):
            name = _namespace(stack, f"{prefix}-{number}")
            host = Host(name, f"10.0.0.{number + 1}", bridge, f"port{number}")
            _connect(host, rate)
            hosts.append(host)
        yield hosts


def _namespace(stack: contextlib.ExitStack, name: str) -> str:
    _ip("netns", "add", name)
    # Its links go with it.
    stack.callback(_ip, "netns", "delete", name)
    _ip("-n", name, "link", "set", "lo", "up")
    return name


def _connect(host: Host, rate: str) -> None:
    link = ("type", "veth", "peer", "name", "eth0", "netns", host.name)
    _ip("-n", host.bridge, "link", "add", host.port, *link)
    _ip("-n", host.bridge, "link", "set", host.port, "up")
    _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "eth0")
    _ip("-n", host.name, "link", "set", "eth0", "up")
    host.join()
    for place, name in ((host.bridge, host.port), (host.name, "eth0")):
        if rate:
            shape = ("tbf", "rate", rate, "burst", "256kb", "latency", "50ms")
            _run("tc", "-n", place, "qdisc", "add", "dev", name, "root", *shape)


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")

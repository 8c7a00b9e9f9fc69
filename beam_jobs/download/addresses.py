"""Which network addresses a download may reach, and names looked up once.

A list from the web may name this machine, its neighbours or the metadata
service of a cloud. So every name is looked up here, its addresses are checked,
and the connection goes to the checked address, not to the name again.
https://owasp.org/www-community/attacks/Server_Side_Request_Forgery
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from aiohttp.abc import AbstractResolver, ResolveResult

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_KEEP_SECONDS = 300.0
# A host that does not answer is not asked for again with every URL of it.
_KEEP_UNKNOWN_SECONDS = 60.0
_KEEP_FAILURE_SECONDS = 2.0
# More look-ups at a time drown small resolvers.
_LOOKUPS = 8

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class PrivateAddressError(OSError):
    """A host whose addresses are not public."""

    def __init__(self, address: str):
        super().__init__(f"{address} is no public address")


class UnknownHostError(OSError):
    """A host without an address.

    Attributes:
        transient: the resolver failed; the host may well exist.
    """

    def __init__(self, message: str, transient: bool):
        super().__init__(message)
        self.transient = transient


def is_public(address: str) -> bool:
    """Tells whether an IP address belongs to the public internet.

    IPv4 addresses wrapped in IPv6 ones are judged as themselves.

    Example:
        >>> is_public("93.184.216.34"), is_public("::ffff:127.0.0.1")
        (True, False)
    """
    ip = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def is_address(host: str) -> bool:
    """Tells whether a host is an IP address, not a name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def check_address(host: str) -> None:
    """Checks a host that may be an IP address; names pass.

    Raises:
        PrivateAddressError: an address that is not public.
    """
    if is_address(host) and not is_public(host):
        raise PrivateAddressError(host)


class CheckedResolver(AbstractResolver):
    """Looks names up, keeps the answers, lets only public addresses through.

    Args:
        allow_private: let every address through.
    """

    def __init__(self, allow_private: bool = False):
        self._allow_private = allow_private
        self._threads = ThreadPoolExecutor(_LOOKUPS, "lookup")
        self._known: dict[tuple[str, int], tuple[float, asyncio.Future]] = {}

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> list[ResolveResult]:
        """Returns the addresses of a host.

        Raises:
            UnknownHostError: it has none.
            PrivateAddressError: none of them is public.
        """
        now = time.monotonic()
        until, future = self._known.get((host, family), (0.0, None))
        if future is None or (now >= until and future.done()):
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._threads, _look_up, host, family)
            self._known[host, family] = (now + _KEEP_SECONDS, future)
        try:
            # One caller that gives up must not cancel it for the others.
            found = await asyncio.shield(future)
        except UnknownHostError as error:
            if now >= until:
                keep = _KEEP_UNKNOWN_SECONDS
                if error.transient:
                    keep = _KEEP_FAILURE_SECONDS
                self._known[host, family] = (now + keep, future)
            raise
        return [_result(host, port, *each) for each in self._allowed(found)]

    async def close(self) -> None:
        """Ends the threads; a look-up under way is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _allowed(self, found: list[tuple[str, int]]) -> list[tuple[str, int]]:
        if self._allow_private:
            return found
        public = [each for each in found if is_public(each[0])]
        if not public:
            raise PrivateAddressError(found[0][0])
        return public


def _look_up(host: str, family: int) -> list[tuple[str, int]]:
    """Returns (address, family) of a host, each once."""
    try:
        found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
    except socket.gaierror as error:
        again = error.errno == socket.EAI_AGAIN
        raise UnknownHostError(str(error.strerror), again) from error
    except UnicodeError as error:
        raise UnknownHostError(str(error), False) from error
    pairs = {(str(where[0]), int(kind)): None for kind, *_, where in found}
    if not pairs:
        raise UnknownHostError("no address", False)
    return list(pairs)


def _result(host: str, port: int, address: str, family: int) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=family,
        proto=0,
        flags=socket.AI_NUMERICHOST,
    )


def _unwrapped(ip: IPAddress) -> IPAddress:
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    teredo = ip.teredo[1] if ip.teredo else None
    return ip.ipv4_mapped or ip.sixtofour or teredo or ip

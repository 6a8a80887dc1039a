"""What a name server would do: names under SIM_DOMAIN are the addresses in SIM_ADDRESSES, in turn.

Python imports a module of this name by itself, so that clients in processes of their own resolve the same names.
"""

import itertools
import os
import socket

_resolve = socket.getaddrinfo
_turn = itertools.count()


def _getaddrinfo(host, *arguments, **named):
    domain, addresses = os.environ.get("SIM_DOMAIN"), os.environ.get("SIM_ADDRESSES", "").split(",")
    if domain and isinstance(host, str) and (host == domain or host.endswith("." + domain)):
        host = addresses[next(_turn) % len(addresses)]
    return _resolve(host, *arguments, **named)


socket.getaddrinfo = _getaddrinfo

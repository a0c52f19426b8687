"""The same slow name server, asked in a thread."""

import asyncio
import ctypes
import socket
import threading
import time

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


class Resolver(ctypes.Structure):
    """The C library's own resolver, as far as its list of name servers (resolv.h)."""

    _fields_ = [
        ("retrans", ctypes.c_int),
        ("retry", ctypes.c_int),
        ("options", ctypes.c_ulong),
        ("servers", ctypes.c_int),
        ("family", ctypes.c_ushort),
        ("port", ctypes.c_uint16.__ctype_be__),
        ("address", ctypes.c_uint8 * 4),
    ]


def slow_name_server(server: socket.socket) -> None:
    while True:
        query, client = server.recvfrom(512)
        time.sleep(0.15)
        server.sendto(query[:2] + b"\x81\x83" + query[4:], client)  # there is no such name


def use(server: socket.socket) -> None:
    library = ctypes.CDLL(None)
    library.__res_init()
    library.__res_state.restype = ctypes.POINTER(Resolver)
    resolver = library.__res_state().contents
    resolver.servers = 1
    resolver.family = socket.AF_INET
    resolver.port = server.getsockname()[1]
    resolver.address[:] = (127, 0, 0, 1)


def look_up() -> None:
    use(server)  # each thread has a resolver of its own
    socket.getaddrinfo("db.example.net", 5432)


async def connect() -> None:
    while True:
        try:
            await asyncio.to_thread(look_up)
        except OSError:
            await asyncio.sleep(0.05)


async def main() -> None:
    server.bind(("127.0.0.1", 0))
    threading.Thread(target=slow_name_server, args=(server,), daemon=True).start()
    async with asyncio.TaskGroup() as group:
        group.create_task(connect(), name="connector")
        print("ready")


asyncio.run(main())

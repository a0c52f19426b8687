"""The servers for load generators: they say where they listen, answer every route, and end when told to."""

import http.client
import signal
from pathlib import Path

import pytest

from program_under_test import running

SERVERS = Path(__file__).parents[1] / "e2e" / "servers"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("file", ["aiohttp_server.py", "fastapi_server.py"])
def test_a_server_answers_and_ends_silently(file: str, number: signal.Signals) -> None:
    answers: dict[str, str] = {}
    with running(SERVERS / file, "0") as program:
        port = program.stdout_line(r"^listening on http://127\.0\.0\.1:(\d+)$")[1]
        connection = http.client.HTTPConnection("127.0.0.1", int(port))
        for route in ("/hello", "/sqlite", "/sleep"):
            connection.request("GET", route)
            response = connection.getresponse()
            assert response.status == 200
            answers[route] = response.read().decode().strip('"')
        connection.close()
        status, errors = program.end(number)
    assert answers == {"/hello": "hello", "/sqlite": "locked", "/sleep": "slept"}
    assert errors == ""
    assert status in (0, -number)


def test_sqlite_and_sleep_block_the_loop() -> None:
    with running(SERVERS / "aiohttp_server.py", "0", debug=True) as program:
        port = program.stdout_line(r"^listening on http://127\.0\.0\.1:(\d+)$")[1]
        for route in ("/sqlite", "/sleep"):
            connection = http.client.HTTPConnection("127.0.0.1", int(port))
            connection.request("GET", route)
            assert connection.getresponse().status == 200
            connection.close()
            program.stderr_line(r"Executing <Task .*RequestHandler.* took \d+\.\d+ seconds")

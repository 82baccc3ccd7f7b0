"""A client with Python's `websockets` (asyncio) and `http.client`.

Runs one scenario against each URL and prints what it saw. The argument and the lines printed are
those of node_client.mjs, and so are the scenarios, where Python can do the same.
"""

import asyncio
import http.client
import json
import socket
import ssl
import sys
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame

ARGUMENT = json.loads(sys.argv[1])
TRUST = ssl.create_default_context(cafile=ARGUMENT["ca"])
HERE = Path(__file__).parent
PATIENCE = 60  # seconds; bounds a hang on a busy machine, measures nothing


class Chat(ClientConnection):
    """A connection that notes the frames it receives, as the library hands them on."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.received = []

    def process_event(self, event):
        if isinstance(event, Frame):
            more = [] if event.fin else ["more"]
            self.received.append(" ".join([event.opcode.name.lower(), str(len(event.data)), *more]))
        super().process_event(event)

    async def ask(self, message):
        await self.send(message)
        return await self.recv()

    async def sent(self):
        """The frames that the application received since the last call."""
        return json.loads(await self.ask("/frames"))

    async def closed(self):
        """How the connection ended, once it has."""
        await self.wait_closed()
        error = self.connection_exc
        return {
            "code": self.close_code,
            "reason": self.close_reason,
            "error": None if error is None else repr(error),
        }


def chat(url, path="/ws", **options):
    defaults = {"compression": None, "max_size": None, "proxy": None, "open_timeout": PATIENCE}
    return connect(
        url.replace("https", "wss", 1) + path,
        ssl=TRUST,
        host=ARGUMENT["address"],
        create_connection=Chat,
        **{**defaults, **options},
    )


class Pages(http.client.HTTPSConnection):
    """One kept-alive connection for ordinary requests; counts how often it had to connect."""

    def __init__(self, url):
        self.where = urlsplit(url)
        self.connects = 0
        super().__init__(self.where.hostname, self.where.port, context=TRUST, timeout=PATIENCE)

    def connect(self):
        self.connects += 1
        stream = socket.create_connection((ARGUMENT["address"], self.port), timeout=PATIENCE)
        self.sock = TRUST.wrap_socket(stream, server_hostname=self.host)

    def ask(self, method, path, body=None, headers=None):
        self.request(method, self.where.path + path, body, headers or {})
        response = self.getresponse()
        return response, response.read()


async def echo(url):
    async with chat(url) as ws:
        kept = []
        for message in ["", "grüß dich 🦀", "x" * 125, "x" * 126, "x" * 65535, "x" * 65536]:
            kept.append(await ws.ask(message) == message)
            kept.append(await ws.ask(message.encode()) == message.encode())
        received = list(ws.received)
        return {"kept": kept, "sent": await ws.sent(), "received": received}


async def subprotocol(url):
    agreed = []
    for offered in (["chat.v2", "chat.v1"], None):
        async with chat(url, subprotocols=offered) as ws:
            agreed.append(ws.subprotocol or "")
    return {"agreed": agreed}


async def large(url):
    message = (b"The quick brown fox. " * 500_000)[: 10 * 1024 * 1024]
    kept = []
    for compression in (None, "deflate"):
        async with chat(url, compression=compression) as ws:
            answer = await ws.ask(message)
            kept += [len(answer), answer == message]
    return {"kept": kept}


async def fragments(url):
    async with chat(url) as ws:

        async def pieces():
            # The library sends each piece as a frame, and a last, empty one to end the message.
            yield "a crab 🦀"
            await ws.ping("between")
            yield " in pieces"

        await ws.send(pieces())
        answer = await ws.recv()
        sent = await ws.sent()
        await ws.send("/fragment these are pieces")
        ws.received.clear()
        cut = [piece async for piece in ws.recv_streaming()]
        return {"answer": answer, "sent": sent, "cut": cut, "received": list(ws.received)}


async def ping(url):
    async with chat(url) as ws:
        answered = await ws.ping("are you there?")
        await answered
        answer = await ws.ask("/ping and you?")
        return {"answer": answer, "received": list(ws.received)}


async def deflate(url):
    async with chat(url, compression="deflate") as ws:
        message = "compress me, please; " * 4096
        kept = [await ws.ask(message) == message, await ws.ask(message) == message]
        extensions = ws.response.headers["Sec-WebSocket-Extensions"]
        sent = await ws.sent()
        compressed = [frame.endswith(" compressed") for frame in sent]
        return {"extensions": extensions, "kept": kept, "compressed": compressed, "sent": sent}


async def headers(url):
    extra = {
        "Cookie": "session=s3cret; theme=dark",
        "Authorization": "Bearer t0ken",
        "X-Custom": "kept as it is",
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "gopher",
        "X-Forwarded-Host": "evil.test",
    }
    options = {"additional_headers": extra, "origin": "https://page.test"}
    async with chat(url, "/ws?room=1", **options) as ws:
        upgrade = json.loads(await ws.ask("/headers"))
    _, page = Pages(url).ask("GET", "/headers", headers=extra)
    return {"upgrade": upgrade, "page": json.loads(page)}


async def ordinary(url):
    pages = Pages(url)
    page, body = pages.ask("GET", "/")
    chunked, lines = pages.ask("GET", "/chunked")
    download, large = pages.ask("GET", "/large")
    head, nothing = pages.ask("HEAD", "/large")
    missing, apology = pages.ask("GET", "/nowhere")
    posted, answer = pages.ask("POST", "/echo", body="with a length")
    streamed, pieces = pages.ask("POST", "/echo", body=iter([b"piece ", b"by ", b"piece"]))
    return {
        "page": [page.status, page.headers["Content-Type"], page.headers.get_all("Set-Cookie")],
        "intact": body == (HERE / "chromium_page.html").read_bytes(),
        "chunked": [chunked.status, chunked.headers["Transfer-Encoding"], lines.decode()],
        "download": [download.status, large == b"0123456789abcdef" * (640 * 1024)],
        "head": [head.status, head.headers["Content-Length"], len(nothing)],
        "missing": [missing.status, apology.decode()],
        "posted": [posted.status, answer.decode()],
        "streamed": [streamed.status, pieces.decode()],
        "connections": pages.connects,
    }


async def denied(url):
    answers = []
    for path in ("/ws/private", "/ws/nowhere"):
        try:
            async with chat(url, path):
                answers.append("let in")
        except InvalidStatus as refusal:
            response = refusal.response
            demand = response.headers.get("WWW-Authenticate")
            answers.append([response.status_code, demand, response.body.decode()])
    return {"answers": answers}


async def close(url):
    name = uuid4()
    async with chat(url, f"/ws?id={name}") as ws:
        await ws.send("/close 4001 you may go")
        theirs = await ws.closed()
    replied = seen_by_application(url, name)
    ours = []
    for arguments in ((4002, "good bye"), (), None):
        name = uuid4()
        async with chat(url, f"/ws?id={name}") as ws:
            if arguments is None:
                # A Close without a code, which the library itself never sends.
                async with ws.send_context():
                    ws.protocol.send_close()
            else:
                await ws.close(*arguments)
        ours.append(seen_by_application(url, name))
    return {"theirs": theirs, "replied": replied, "ours": ours}


def seen_by_application(url, name):
    return json.loads(Pages(url).ask("GET", f"/closed?id={name}")[1])


async def reconnect(url, provoke):
    """Reconnects as the library's users do, in a loop over `connect`."""
    seen = {}
    async for ws in chat(url):
        if "closed" in seen:
            seen["after"] = await ws.ask("after")
            await ws.close()
            return seen
        seen["before"] = await ws.ask("before")
        await provoke(ws)
        try:
            await ws.recv()
        except ConnectionClosed:
            seen["closed"] = await ws.closed()


async def restart(url):
    async def announce(_):
        print(json.dumps({"event": "connected"}), flush=True)

    return await reconnect(url, announce)


async def crash(url):
    return await reconnect(url, lambda ws: ws.send("/crash"))


SCENARIOS = {
    "echo": echo,
    "subprotocol": subprotocol,
    "large": large,
    "fragments": fragments,
    "ping": ping,
    "deflate": deflate,
    "headers": headers,
    "http": ordinary,
    "denied": denied,
    "close": close,
    "restart": restart,
    "crash": crash,
}

for target in ARGUMENT["urls"]:
    outcome = asyncio.run(SCENARIOS[ARGUMENT["scenario"]](target))
    print(json.dumps({"result": outcome}), flush=True)

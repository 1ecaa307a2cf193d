"""Clients that share no code with this project. Each line that they print is one JSON value.

client.py websocket wss://host:port/realtime certificate channel count
client.py stream https://host:port/realtime/sse?channels=... certificate count
"""

import asyncio
import json
import socket
import ssl
import sys

resolve = socket.getaddrinfo


def on_this_machine(host, *rest, **more):
    """The name in the certificate is nobody's: it is this machine."""
    return resolve("127.0.0.1" if host == "realtime.example.com" else host, *rest, **more)


socket.getaddrinfo = on_this_machine


def say(value):
    print(json.dumps(value), flush=True)


async def websocket(url, certificate, channel, count):
    import websockets

    trust = ssl.create_default_context(cafile=certificate)
    async with websockets.connect(url, ssl=trust, subprotocols=["realtime.v1.json"]) as connection:
        hello = {"type": "hello", "id": "h", "payload": {"versions": [1], "token": "python"}}
        await connection.send(json.dumps(hello))
        await connection.send(
            json.dumps({"type": "subscribe", "id": "s", "channel": channel, "payload": {}})
        )
        events = 0
        while events < int(count):
            for line in (await connection.recv()).split("\n"):
                message = json.loads(line)
                if message["type"] == "ping":
                    await connection.send(json.dumps({"type": "pong", "ref": message["id"]}))
                say({"type": message["type"], "payload": message.get("payload")})
                events += message["type"] == "event"


def stream(url, certificate, count):
    import requests
    from sseclient import SSEClient

    session = requests.Session()
    session.verify = certificate
    # Certificates and proxies that the machine has for other purposes.
    session.trust_env = False
    # sseclient reads past the end of a body to that of its connection, which Caddy would keep.
    session.headers["Connection"] = "close"
    events = 0
    # Comes back by itself, with the last id.
    for message in SSEClient(url, session=session, retry=100):
        if not message.data:
            continue
        envelope = json.loads(message.data)
        say({"type": envelope["type"], "payload": envelope.get("payload"), "id": message.id})
        events += envelope["type"] == "event"
        if events == int(count):
            return


if sys.argv[1] == "websocket":
    asyncio.run(websocket(*sys.argv[2:]))
else:
    stream(*sys.argv[2:])

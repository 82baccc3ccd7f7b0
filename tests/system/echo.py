"""The application behind batond: an ordinary Python WebSocket server that sends back what comes."""

import asyncio
import os
import socket

import websockets


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def main():
    async with websockets.serve(echo, "127.0.0.1", 8080):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
        await asyncio.Future()


asyncio.run(main())

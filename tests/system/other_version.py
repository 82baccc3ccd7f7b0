#!/usr/bin/python3
"""Another version of batond, as far as the handoff goes: as a successor in the place of the
program, or, with the argument "predecessor", as the process that starts the real one."""

import json
import socket
import struct
import subprocess
import sys

OTHER = 2
HELLO, OFFER, REFUSED = 2, 3, 8


def send(channel, kind, body):
    text = json.dumps(body).encode()
    channel.send(struct.pack(">4sHHI", b"BTND", OTHER, kind, len(text)) + text)


def receive(channel):
    packet = channel.recv(1 << 17)
    if not packet:
        return None
    _, version, kind, _ = struct.unpack(">4sHHI", packet[:12])
    return version, kind, json.loads(packet[12:])


def successor(descriptor):
    channel = socket.socket(fileno=descriptor)
    send(channel, HELLO, {"version": "from another time"})
    print("the predecessor answered", receive(channel), flush=True)


def predecessor(*command):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    number = theirs.fileno()
    real = subprocess.Popen([*command, "--successor", str(number)], pass_fds=[number])
    theirs.close()
    print("the successor began with", receive(ours))
    send(ours, OFFER, {"listeners": 0, "state": 0})
    print("the successor answered", receive(ours))
    print("the successor then said", receive(ours))
    print("the successor ended with", real.wait())


if sys.argv[1] == "--successor":
    successor(int(sys.argv[2]))
else:
    predecessor(*sys.argv[2:])

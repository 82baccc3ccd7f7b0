# Connects to each server as Python does by default, and once more as Python does from 3.13 on.
# Argument: a JSON file with a list of {"name", "host", "port", "roots"}. Prints one JSON object:
# by client and name, null or the error.

import json
import socket
import ssl
import sys


def judge(row, flags):
    try:
        context = ssl.create_default_context(cafile=row["roots"])
        context.verify_flags |= flags
        with socket.create_connection(("127.0.0.1", row["port"]), timeout=30) as connection:
            with context.wrap_socket(connection, server_hostname=row["host"]) as stream:
                stream.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                return None if stream.recv(1) else "no answer"
    except OSError as error:
        return str(error)


with open(sys.argv[1]) as file:
    rows = json.load(file)
strict = ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
clients = {"python": ssl.VerifyFlags(0), "python-3.13": strict}
print(json.dumps({client: {row["name"]: judge(row, flags) for row in rows} for client, flags in clients.items()}))

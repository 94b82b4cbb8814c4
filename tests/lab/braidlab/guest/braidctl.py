#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Controls the module on one node, for a test that plays the daemons' part. Runs on a host of the lab.

    braidctl.py SPEC

Reads a JSON list of commands a line, does them in turn and answers with a list as long, in a line.
An operation that is refused is answered {"error": "ENOENT", "message": ..., "attribute": ...,
"missing": ...}; the commands after it are done all the same. "with" holds attributes by name.

    {"do": "resource-new", "with": {...}}           -> its reply
    {"dump": "peer-get", "with": {...}}             -> {"list": [...]}
    {"events": FILE}                                -> {}; events are written there from now on
    {"listen": ADDRESS}                             -> {"port": N, "listener": FD}
    {"connect": ADDRESS, "from": ADDRESS, "port": N, "count": N, "with": {...}}  -> {}
    {"accept": FD, "count": N, "with": {...}}       -> {}
    {"record": FD, "type": N}                       -> {}; sends a TLS record of that type on a kept socket
    {"socket": "udp"}                               -> {"fd": N}, for a wrong peer-connect

connect and accept make TCP sockets and hand each over with peer-connect: "with" goes along. They
close their descriptors at once, without a shutdown: from then on only the kernel has the socket. With
"tls": true the sockets are under kernel TLS, with keys that anyone may know; with "keep": true the answer
to connect is {"kept": [FD]}, its sockets, still open.
"""
import json
import os
import socket
import struct
import sys
import threading
import time

import genl

CONNECT_TIMEOUT_S = 10
TCP_ULP, SOL_TLS, TLS_TX, TLS_RX, TLS_SET_RECORD_TYPE = 31, 282, 1, 2, 1
TLS_1_3, AES_GCM_128 = 0x0304, 51


class Control:
    def __init__(self, spec: str):
        self.spec = genl.Spec(spec)
        self.client: genl.Client | None = None
        self.sockets: dict[int, socket.socket] = {}

    def answer(self, command: dict) -> dict:
        try:
            for name in ("do", "dump", "events", "listen", "connect", "accept", "record", "socket"):
                if name in command:
                    return getattr(self, "on_" + name)(command)
            return {"error": "EINVAL", "message": f"not a command: {command}"}
        except genl.Refused as refused:
            return refused.answer()
        except OSError as error:
            return {"error": genl.error_name(error.errno or 0), "message": f"{command}: {error}"}
        except KeyError as unknown:
            return {"error": "EINVAL", "message": f"the spec has no {unknown}, in {command}"}
        except genl.Malformed as malformed:
            return {"error": "EBADMSG", "message": f"the module's answer to {command}: {malformed}"}

    def family(self) -> genl.Client:
        """Asked for late: the module may be loaded after this program, or again."""
        if self.client is None:
            self.client = genl.Client(self.spec)
        return self.client

    def request(self, name: str, values: dict) -> dict:
        operation = self.spec.operations[name]
        reply = self.family().request(
            name, genl.from_json(self.spec, values, operation.attributes))
        return genl.to_json(self.spec, reply, operation.reply)

    def on_do(self, command: dict) -> dict:
        return self.request(command["do"], command.get("with", {}))

    def on_dump(self, command: dict) -> dict:
        operation = self.spec.operations[command["dump"]]
        values = genl.from_json(self.spec, command.get("with", {}), operation.attributes)
        return {"list": [genl.to_json(self.spec, each, operation.reply)
                         for each in self.family().dump(operation.name, values)]}

    def on_events(self, command: dict) -> dict:
        client = genl.Client(self.spec)
        client.subscribe("events")
        threading.Thread(target=self.log_events, args=(client, command["events"]), daemon=True).start()
        return {}

    def log_events(self, client: genl.Client, path: str) -> None:
        with open(path, "a", encoding="utf-8", buffering=1) as log:
            events = client.events()
            while True:
                try:
                    _, values = next(events)
                    (attributes,) = (it.attributes for it in self.spec.events.values())
                    line = genl.to_json(self.spec, values, attributes)
                except OSError as error:  # some were lost; a generator ends with its first error
                    line, events = {"lost": genl.error_name(error.errno)}, client.events()
                log.write(json.dumps({"at": time.monotonic(), **line}) + "\n")

    def on_listen(self, command: dict) -> dict:
        listener = socket.create_server((command["listen"], 0), backlog=64)
        listener.settimeout(CONNECT_TIMEOUT_S)
        self.sockets[listener.fileno()] = listener
        return {"port": listener.getsockname()[1], "listener": listener.fileno()}

    def on_connect(self, command: dict) -> dict:
        kept = []
        for _ in range(command["count"]):
            with socket.create_connection((command["connect"], command["port"]), CONNECT_TIMEOUT_S,
                                          (command["from"], 0)) as stream:
                self.hand_over(stream, command, (TLS_TX, TLS_RX))
                if command.get("keep"):
                    kept.append(stream.dup())
        self.sockets |= {stream.fileno(): stream for stream in kept}
        return {"kept": [stream.fileno() for stream in kept]}

    def on_accept(self, command: dict) -> dict:
        with self.sockets.pop(command["accept"]) as listener:
            for _ in range(command["count"]):
                with listener.accept()[0] as stream:
                    self.hand_over(stream, command, (TLS_RX, TLS_TX))
        return {}

    def hand_over(self, stream: socket.socket, command: dict, directions: tuple[int, int]) -> None:
        stream.setblocking(True)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if command.get("tls"):
            stream.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
            for number, direction in enumerate(directions, 1):
                stream.setsockopt(SOL_TLS, direction, struct.pack(
                    "=HH8s16s4s8s", TLS_1_3, AES_GCM_128, bytes(8), bytes([number] * 16), bytes(4), bytes(8)))
        self.request("peer-connect", {**command["with"], "fd": stream.fileno()})

    def on_record(self, command: dict) -> dict:
        self.sockets[command["record"]].sendmsg(
            [b"\0\0"], [(SOL_TLS, TLS_SET_RECORD_TYPE, bytes([command["type"]]))])
        return {}

    def on_socket(self, command: dict) -> dict:
        make = {
            "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            "unix": lambda: socket.socketpair()[0],
            "unconnected": socket.socket,
            "listening": lambda: socket.create_server(("127.0.0.1", 0)),
            "file": lambda: open("/dev/null", "rb"),  # noqa: SIM115
        }
        made = make[command["socket"]]()
        self.sockets[made.fileno()] = made
        return {"fd": made.fileno()}


def main() -> None:
    control = Control(sys.argv[1])
    output = os.dup(1)  # nothing else may write there
    for line in sys.stdin:
        answers = [control.answer(command) for command in json.loads(line)]
        os.write(output, json.dumps(answers).encode() + b"\n")


if __name__ == "__main__":
    main()

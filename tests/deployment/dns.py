"""A name server for one name: `python dns.py ADDRESS NAME ANSWER`.

It answers A queries for NAME with ANSWER (IPv4), says that NAME has no other
records, and that no other name exists. It prints each name it is asked for.
"""

import socket
import struct
import sys

HEADER = struct.Struct("!HHHHHH")
A = 1
NO_SUCH_NAME = 3


def question(query):
    labels, at = [], HEADER.size
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    (kind,) = struct.unpack_from("!H", query, at + 1)
    return ".".join(labels).lower(), kind, query[HEADER.size : at + 5]


def main(address, name, answer):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    print("name server ready", flush=True)
    while True:
        query, peer = server.recvfrom(1500)
        asked, kind, section = question(query)
        print("asked for", asked, flush=True)
        known = asked == name
        records = b""
        if known and kind == A:
            # A pointer to the name in the question, IN, 60 s, four bytes.
            records = b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 60, 4) + socket.inet_aton(answer)
        flags = 0x8180 | (0 if known else NO_SUCH_NAME)
        header = HEADER.pack(int.from_bytes(query[:2], "big"), flags, 1, bool(records), 0, 0)
        server.sendto(header + section + records, peer)


if __name__ == "__main__":
    main(*sys.argv[1:])

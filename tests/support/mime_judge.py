"""Reads a message on stdin with Python's email parser and prints one JSON object: the leaves, decoded, and the defects.

Line ends are LF in what is printed, and the last one is left out: it belongs to the boundary, if there is one."""

import email.policy
import json
import sys

message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.SMTP)
leaves = [part for part in message.walk() if not part.is_multipart()]
content = [part.get_payload(decode=True).replace(b"\r\n", b"\n").removesuffix(b"\n") for part in leaves]
print(
    json.dumps(
        {
            "leaves": [[part.get_content_type(), text.hex()] for part, text in zip(leaves, content)],
            "defects": [type(defect).__name__ for part in message.walk() for defect in part.defects],
        }
    )
)

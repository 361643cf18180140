"""Reads a notice on stdin as two other programs would, and prints one JSON object.

Python's email parser: the type of each part, the defects of all of them, the fields of message/delivery-status.
flufl.bounce, which Mailman uses: the addresses that it takes for failed for good, and for late."""

import email.policy
import json
import sys

from flufl.bounce import all_failures

bytes = sys.stdin.buffer.read()
# flufl.bounce wants the policy that it was written for.
temporary, permanent = all_failures(email.message_from_bytes(bytes))
message = email.message_from_bytes(bytes, policy=email.policy.default)
parts = list(message.iter_parts())
status = [part for part in parts if part.get_content_type() == "message/delivery-status"]
print(
    json.dumps(
        {
            "type": message.get_content_type(),
            "report": message["Content-Type"].params.get("report-type"),
            "parts": [part.get_content_type() for part in parts],
            "defects": [type(defect).__name__ for part in message.walk() for defect in part.defects],
            "header_defects": [str(defect) for value in message.values() for defect in getattr(value, "defects", ())],
            "words": parts[0].get_content() if parts else "",
            "status": [dict(block.items()) for part in status for block in part.get_payload()],
            "temporary": sorted(address.decode() for address in temporary),
            "permanent": sorted(address.decode() for address in permanent),
        }
    )
)

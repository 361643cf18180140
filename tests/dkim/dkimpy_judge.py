"""Verifies every DKIM signature of the message on stdin. Arguments: NAME TEXT of each TXT record, in pairs.

Prints one line per signature, top first: `pass`, or why not."""

import sys

import dkim

RECORDS = dict(zip(sys.argv[1::2], sys.argv[2::2]))


def txt(name, timeout=5):
    record = RECORDS.get(name.decode().rstrip("."))
    return record.encode() if record else None


def verdict(message, index):
    try:
        return "pass" if dkim.DKIM(message).verify(idx=index, dnsfunc=txt) else "fail"
    except dkim.DKIMException as error:
        return f"{type(error).__name__}: {error}"


MESSAGE = sys.stdin.buffer.read()
HEADERS, _ = dkim.rfc822_parse(MESSAGE)
COUNT = sum(name.lower() == b"dkim-signature" for name, _ in HEADERS)
print("\n".join(verdict(MESSAGE, index) for index in range(COUNT)))

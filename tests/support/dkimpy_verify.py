"""Verifies every DKIM signature of the message on stdin. Arguments: NAME TEXT of each TXT record, in pairs.

One line per signature, top first: `pass`, or why not."""

import sys

import dkim

names, texts = sys.argv[1::2], sys.argv[2::2]
records = {name.rstrip("."): text for name, text in zip(names, texts)}


def txt(name, timeout=5):
    return records.get(name.decode().rstrip("."), "").encode() or None


message = sys.stdin.buffer.read()
signatures = sum(1 for name, _ in dkim.rfc822_parse(message)[0] if name.lower() == b"dkim-signature")
for index in range(signatures):
    try:
        good = dkim.DKIM(message).verify(idx=index, dnsfunc=txt)
        print("pass" if good else "the signature does not match")
    except dkim.DKIMException as error:
        print(type(error).__name__, error)

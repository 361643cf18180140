"""Prints the message that everybody sends: 4 KiB, as a program would write it, without Date and Message-ID."""

HEADER = "From: Bench <bench@bench.example>\nTo: somebody@dest.example\nSubject: nightly report of the bench\n" \
    "MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\n"
LINE = "%03d  the quick brown fox jumps over the lazy dog and counts its lines\n"

text = HEADER
number = 0
while len(text) + len(LINE % number) <= 4096:
    text += LINE % number
    number += 1
print(text + "x" * (4095 - len(text)))

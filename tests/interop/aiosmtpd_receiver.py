"""Receives mail on 127.0.0.1:2525 with aiosmtpd until stdin ends. One JSON line per transaction on stdout."""

import json
import sys

from aiosmtpd.controller import Controller


class Print:
    async def handle_DATA(self, server, session, envelope):
        transaction = {
            "mail": envelope.mail_from,
            "options": envelope.mail_options,
            "recipients": envelope.rcpt_tos,
            "data": envelope.original_content.decode("latin-1"),
        }
        print(json.dumps(transaction), flush=True)
        return "250 2.0.0 kept"


controller = Controller(Print(), hostname="127.0.0.1", port=2525, enable_SMTPUTF8=True)
controller.start()
print(json.dumps({"ready": True}), flush=True)
sys.stdin.read()
controller.stop()

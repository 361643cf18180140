"""Verifies a webhook with the library of Standard Webhooks. Argument: the secret. On stdin: JSON with `headers` and `body`.

Prints the payload that the library accepted; ends with 1 and the reason where it did not."""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

GIVEN = json.load(sys.stdin)
try:
    print(json.dumps(Webhook(sys.argv[1]).verify(GIVEN["body"], GIVEN["headers"])))
except WebhookVerificationError as error:
    sys.exit(f"{type(error).__name__}: {error}")

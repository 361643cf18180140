"""The fallback of a Flask application: email.mime, and `sendmail -t` with the message on stdin, never with user input as arguments.

Writes the message to stdout as it was given to sendmail."""

import subprocess
import sys
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import formataddr

message = MIMEMultipart("alternative")
message["Subject"] = "Passwort zurücksetzen — reset"
message["From"] = formataddr(("Rådgivning", "rps@sender.example"))
message["To"] = "Bob <bob@receiver.example>"
message.attach(MIMEText("Hello Bob,\n\n.a line that begins with a dot\nFrom here on: grüße\n", "plain", "utf-8"))
message.attach(MIMEText("<p>Hello <b>Bob</b></p>\n" + "<!-- a long line " + "x" * 900 + " -->\n", "html", "utf-8"))

caller = subprocess.Popen(["/usr/sbin/sendmail", "-t"], stdin=subprocess.PIPE)
caller.communicate(message.as_bytes())
sys.stdout.buffer.write(message.as_bytes())
sys.exit(caller.returncode)

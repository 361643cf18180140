"""Django with the backend of the package django-sendmail-backend: `sendmail -t`, without -i."""

import django
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, mail_admins

settings.configure(
    EMAIL_BACKEND="django_sendmail_backend.backends.EmailBackend",
    ADMINS=[("Root", "root@localhost")],
    DEFAULT_CHARSET="utf-8",
)
django.setup()
with open("/srv/body.txt", encoding="utf-8") as file:
    body = file.read()
message = EmailMultiAlternatives(
    subject="Passwort zurücksetzen",
    body=body,
    from_email="Rådgivning <rps@sender.example>",
    to=["Bob <bob@receiver.example>"],
    cc=["carol@receiver.example"],
    bcc=["hidden@receiver.example"],
)
message.attach_alternative("<p>Grüße\n.\n", "text/html")
message.send()
mail_admins("it is broken", body)

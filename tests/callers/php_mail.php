<?php
// mail() as an old application calls it. Our only argument is one more for `sendmail`, as a careless application passes it on.
$headers = [
    'From' => 'Rådgivning <webmaster@sender.example>',
    'Cc' => 'carol@receiver.example',
    'Bcc' => 'hidden@receiver.example',
    'MIME-Version' => '1.0',
    'Content-Type' => 'text/plain; charset=utf-8',
    'Content-Transfer-Encoding' => '8bit',
];
$parameters = trim('-fbounce@sender.example ' . ($argv[1] ?? ''));
exit(mail('Bob <bob@receiver.example>', 'Passwort zurücksetzen', file_get_contents('/srv/body.txt'), $headers, $parameters) ? 0 : 1);

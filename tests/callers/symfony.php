<?php
// Symfony Mailer with its SendmailTransport: one transport, two messages. Our argument is its command.
foreach (['Mailer', 'Mime'] as $component) {
    require "/usr/share/php/Symfony/Component/$component/autoload.php";
}

use Symfony\Component\Mailer\Mailer;
use Symfony\Component\Mailer\Transport\SendmailTransport;
use Symfony\Component\Mime\Address;
use Symfony\Component\Mime\Email;

$mailer = new Mailer(new SendmailTransport($argv[1]));
foreach (['eins', 'zwei'] as $subject) {
    $mailer->send((new Email())
        ->from(new Address('rps@sender.example', 'Rådgivning'))
        ->returnPath('bounce@sender.example')
        ->to(new Address('bob@receiver.example', 'Bob'))
        ->cc('carol@receiver.example')
        ->bcc('hidden@receiver.example')
        ->subject("Passwort zurücksetzen: $subject")
        ->text(file_get_contents('/srv/body.txt')));
}

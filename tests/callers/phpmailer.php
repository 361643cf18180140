<?php
// PHPMailer in its mode "sendmail".
require '/usr/share/php/libphp-phpmailer/autoload.php';

use PHPMailer\PHPMailer\PHPMailer;

$mail = new PHPMailer(true);
$mail->isSendmail();
$mail->CharSet = 'utf-8';
$mail->Sender = 'bounce@sender.example';
$mail->setFrom('rps@sender.example', 'Rådgivning');
$mail->addAddress('bob@receiver.example', 'Bob');
$mail->addCC('carol@receiver.example');
$mail->addBCC('hidden@receiver.example');
$mail->Subject = 'Passwort zurücksetzen';
$mail->Body = file_get_contents('/srv/body.txt');
$mail->addStringAttachment("\x00\xff\r\n.\r\n", 'bytes.bin');
exit($mail->send() ? 0 : 1);

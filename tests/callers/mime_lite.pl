# MIME::Lite as it is by default: `sendmail -t -oi -oem`.
use strict;
use warnings;
use MIME::Lite;

open my $file, '<', '/srv/body.txt' or die $!;
my $message = MIME::Lite->new(
    From => 'Alice <rps@sender.example>',
    To => 'Bob <bob@receiver.example>',
    Cc => 'carol@receiver.example',
    Bcc => 'hidden@receiver.example',
    Subject => 'Passwort =?utf-8?Q?zur=C3=BCcksetzen?=',
    Type => 'text/plain; charset=utf-8',
    Encoding => '8bit',
    Data => do { local $/; <$file> },
);
$message->send or die 'not sent';

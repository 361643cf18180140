# Email::Sender with its Transport::Sendmail.
use strict;
use warnings;
use Email::Sender::Simple qw(sendmail);
use Email::Sender::Transport::Sendmail;
use Email::Simple;

open my $file, '<', '/srv/body.txt' or die $!;
my $email = Email::Simple->create(
    header => [
        From => 'Alice <rps@sender.example>',
        To => 'Bob <bob@receiver.example>, carol@receiver.example',
        Subject => 'Passwort =?utf-8?Q?zur=C3=BCcksetzen?=',
        'MIME-Version' => '1.0',
        'Content-Type' => 'text/plain; charset=utf-8',
        'Content-Transfer-Encoding' => '8bit',
    ],
    body => do { local $/; <$file> },
);
my @to = ('bob@receiver.example', 'carol@receiver.example', 'hidden@receiver.example');
sendmail($email, { from => 'bounce@sender.example', to => \@to, transport => Email::Sender::Transport::Sendmail->new });

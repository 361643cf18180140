# Reads a notice on stdin as Mail::DeliveryStatus::BounceParser does, and prints one JSON object: whether it is a bounce, and of whom,
# with the kind of reason that the parser makes of status and words.
use strict;
use warnings;
use JSON::PP;
use Mail::DeliveryStatus::BounceParser;

my $bounce = Mail::DeliveryStatus::BounceParser->new(\*STDIN);
my @reports = $bounce->is_bounce ? $bounce->reports : ();
print JSON::PP->new->canonical->encode({
    is_bounce => $bounce->is_bounce ? JSON::PP::true : JSON::PP::false,
    message_id => $bounce->orig_message_id // '',
    reports => [map { { address => $_->get('email') // '', kind => $_->get('std_reason') // '', reason => $_->get('reason') // '' } } @reports],
});

# Two commits, sent as a series.
set -eu
cd "$HOME"
git init -q work
cd work
git config user.name 'Alice Rådgivning'
git config user.email alice@sender.example
cp /srv/body.txt body.txt
git add body.txt
git commit -q -m 'body: the first line

Ünd Text.'
printf 'line without an end' >last
git add last
git commit -q -m 'last: no newline at the end of the file'
git format-patch -q --root -o /tmp/series
git send-email --quiet --confirm=never --to=bob@receiver.example --cc=carol@receiver.example --bcc=hidden@receiver.example \
    --envelope-sender=auto --suppress-cc=self /tmp/series
